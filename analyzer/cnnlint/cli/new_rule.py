"""`cnnlint new-rule`: a rule of one's own to start from, and its test."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

import click

from cnnlint.cli.options import verbose_option
from cnnlint.cli.streams import write
from cnnlint.engine.registry import load_rules
from cnnlint.engine.rule import CODE
from cnnlint.errors import ConfigError
from cnnlint.report.printable import printable
from cnnlint.testing import KEBAB_CASE

DEFINED = re.compile(r"""\bcode=["']([A-Z]{2,4}[0-9]{3})["']""")
"""The code of a rule where its class is defined."""

RULE = '''"""{title}."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from cnnlint import Advice, Bad, Confidence, Context, Conv, Diagnostic, Good, LayerRule, NearMiss, Severity
from msgspec import Meta


class {kind}(LayerRule[Conv], code="{code}", severity=Severity.INFO, confidence=Confidence.HEURISTIC):
    """A convolution has more filters than the limit.

    ## Why
    Say what it costs: in parameters, in accuracy, in time.

    ## Instead
    Say what to write in its place.

    ## References
    - A paper, a specification or a guide of your own.
    """

    max_filters: Annotated[int, Meta(description="The most filters that are fine.", ge=1)] = 512

    def check(self, layer: Conv, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield convolutions with more filters."""
        if layer.filters is None:
            return
        if layer.filters <= self.max_filters:
            yield self.skip(layer, reason=f"{{layer.filters}} filters, of at most max-filters = {{self.max_filters}}")
            return
        yield self.finding(
            layer,
            message=f"The convolution has {{layer.filters}} filters, more than {{self.max_filters}}.",
            evidence={{"filters": layer.filters}},
            advice=Advice(text=f"Use at most {{self.max_filters}} filters"),
        )

    examples = (
        Bad("INPUT 3x32x32 -> CONV 1024 3x3 -> RELU -> GAP -> FC 10", at=("conv1",)),
        Good("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10"),
        Bad("INPUT 3x32x32 -> CONV 16 3x3 -> RELU -> GAP -> FC 10", at=("conv1",), max_filters=8),
    )
'''
"""A rule of each part that a rule has: its page, an option, a finding, a reason to be silent, examples."""

TEST = '''"""{title}: its page and its examples, and the numbers in a finding."""

from __future__ import annotations

from cnnlint.testing import check_examples, check_page, findings
from {module} import {kind}


def test_the_page_is_complete() -> None:
    check_page({kind})


def test_the_examples_hold() -> None:
    check_examples({kind})


def test_a_finding_has_its_numbers() -> None:
    (found,) = findings({kind}, "INPUT 3x32x32 -> CONV 32 3x3 -> RELU -> GAP -> FC 10", max_filters=16)
    assert found.evidence["filters"] == 32
'''


@click.command("new-rule")
@click.argument("name", metavar="NAME")
@click.option(
    "--code",
    metavar="CODE",
    help="Its code: two to four letters, and three digits.  [default: the first of MY001, MY002, ... that no rule in "
    "FOLDER has]",
)
@click.option("--folder", default=".", show_default=True, metavar="FOLDER", help="Where to write; made if need be.")
@verbose_option()
def command(*, name: str, code: str | None, folder: str, verbose: bool) -> int:  # noqa: ARG001 - its callback keeps it
    """Write a rule called NAME (in kebab-case) and its test, which passes, as files to start from.

    Files that are there are never overwritten.
    """
    if not KEBAB_CASE.fullmatch(name):
        raise ConfigError(f"{name!r} is not a name in kebab-case", remedy="write it as in flatten-before-dense")
    claimed = _claimed(Path(folder))
    code = code or next(free for number in range(1, 1000) if (free := f"MY{number:03}") not in claimed)
    if not CODE.fullmatch(code):
        raise ConfigError(
            f"{code!r} is not a code", remedy="write two to four capital letters and three digits: ACM001"
        )
    for taken in load_rules():
        if name == taken.name or code == taken.code:
            raise ConfigError(
                f"there is a rule {taken.code} {taken.name} already", remedy="choose another name and code"
            )
    if code in claimed:
        raise ConfigError(f"a rule has the code {code} already", path=str(claimed[code]), remedy="choose another code")
    module = name.replace("-", "_")
    words = {
        "module": module,
        "kind": "".join(part.capitalize() for part in name.split("-")),
        "title": f"{name.replace('-', ' ').capitalize()}",
        "code": code,
    }
    files = {Path(folder, f"{module}.py"): RULE, Path(folder, f"test_{module}.py"): TEST}
    for path in files:
        if os.path.lexists(path):
            raise ConfigError("is there already, and is not overwritten", path=str(path))
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        for path, text in files.items():
            with path.open("x", encoding="utf-8", newline="\n") as file:
                file.write(text.format(**words))
    except OSError as error:
        raise ConfigError(f"cannot be written: {error.strerror}", path=folder) from error
    rule, test = map(str, files)
    write(
        printable(f"{rule} and {test} written")
        + f'\n\n  python -m pytest {printable(test)}\n\nin cnnlint.toml:  rule-files = ["{printable(rule)}"]\n'
    )
    return 0


def _claimed(folder: Path) -> dict[str, Path]:
    """Return where the Python files of a folder, which are not run, define rules, by their codes."""
    found = dict[str, Path]()
    for path in sorted(folder.glob("*.py")):
        with suppress(OSError):
            found |= dict.fromkeys(DEFINED.findall(path.read_text(encoding="utf-8", errors="replace")), path)
    return found
