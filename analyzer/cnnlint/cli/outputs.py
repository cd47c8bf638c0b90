"""`--output FORMAT=PATH`: a report in a file, besides the one on standard output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from msgspec import Struct
from msgspec.structs import replace

from cnnlint.errors import ConfigError
from cnnlint.report import FORMATS, Rendered, render_each
from cnnlint.report.view import View
from cnnlint.results import LintReport


class Output(Struct, frozen=True):
    """A report to be written.

    Attributes:
        form: One of the formats.
        path: Where it goes; what is there is replaced.
    """

    form: str
    path: Path

    def write(self, report: LintReport, view: View) -> Rendered[LintReport]:
        """Write `report`, without colours, and return what was written.

        Raises:
            ConfigError: The file cannot be written.
        """
        plain = replace(view, color=False, terminal=False, width=100)
        result = render_each(report, self.form, plain)
        try:
            self.path.write_text(result.text, encoding="utf-8", errors="backslashreplace", newline="\n")
        except OSError as error:
            cause = error.strerror or str(error)
            raise ConfigError(f"the report cannot be written: {cause}", path=str(self.path)) from error
        return result


class OutputType(click.ParamType[Output]):
    """FORMAT=PATH on the command line."""

    name = "FORMAT=PATH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Output:
        """Split the format from the path."""
        if isinstance(value, Output):
            return value
        form, separator, path = str(value).partition("=")
        if not separator or not path or form not in FORMATS:
            self.fail(f"{value!r} is not FORMAT=PATH with one of the formats {', '.join(FORMATS)}.", param, ctx)
        return Output(form, Path(path))
