"""What a caller from Python says, and what errors say to one: names of arguments where they name options elsewhere."""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import get_args

from cnnlint.engine.config.schema import SETTINGS, Flags
from cnnlint.errors import CnnlintError, ConfigError, did_you_mean, on_command_line


class Arguments(Flags, frozen=True, kw_only=True, rename="kebab", forbid_unknown_fields=True):
    """What a caller from Python says.

    Raises:
        ConfigError: A word is none of those that there are, or a number is none that there can be.
    """

    def __post_init__(self) -> None:
        for name in ("fail_on", "min_severity"):
            said, known = getattr(self, name), get_args(SETTINGS[name].type)
            if said is not None and said not in known:
                remedy = did_you_mean(str(said), known) or f"write {', '.join(known[:-1])} or {known[-1]}"
                raise ConfigError(f"{name}={said!r} is not known", remedy=remedy)
        if self.run_timeout is not None and not self.run_timeout >= 0:  # nor is NaN
            raise ConfigError(f"run_timeout={self.run_timeout:g} is no time", remedy="write seconds, 0 for any number")
        if self.jobs is not None and self.jobs < 1:
            raise ConfigError(f"jobs={self.jobs} is no number of processes", remedy="write 1 or more")

    @property
    def said_in(self) -> str:
        """What errors call the place of a wrong selector."""
        return "arguments"


@contextmanager
def naming_arguments() -> Generator[None]:
    """Have errors that are raised within the block name arguments, unless the command line is at work."""
    try:
        yield
    except CnnlintError as error:
        if not on_command_line.get():
            error.cause = in_python(error.cause)
            error.path = "arguments" if error.path == Flags().said_in else error.path
            error.remedy = error.remedy and in_python(error.remedy)
        raise


INPUT = re.compile(r"--input ([^\s=]+)=(\?|[\dN]+(?:x[\dN]+)*|\.\.\.)")
INPUTS = re.compile(rf"{INPUT.pattern}(?: {INPUT.pattern})*")
GIVEN = re.compile(r"^--([a-z][a-z-]*) ([^:]+)(?=: )")
MENTIONED = re.compile(
    r"(?P<typed>`[^`]*`)|(?<![\w-])--(?P<flag>[a-z][a-z-]*)(?: (?P<value>[A-Z]{2,}|[./\w-]*/[./\w-]*))?"
)

ARGUMENTS = {
    flag: (name, value if setting.type is bool else "")
    for name, setting in SETTINGS.items()
    if setting.option.flag
    for flag, value in zip(setting.option.flag.split("/"), ("True", "False"), strict=False)
}
"""The argument for each option, and the value that the option alone stands for, if it takes none."""


def in_python(text: str) -> str:
    """Return what is said of options in terms of arguments: `run_timeout=SECONDS` for `--run-timeout SECONDS`.

    Commands to type, in backticks, stay as they are.
    """
    text = INPUTS.sub(_inputs, text)
    text = GIVEN.sub(lambda found: f"{_argument(found[1])[0]}={found[2]!r}", text)
    return MENTIONED.sub(_mentioned, text).replace("; -v shows the traceback", "")


def _mentioned(found: re.Match[str]) -> str:
    if found["typed"]:
        return found["typed"]
    name, alone = _argument(found["flag"])
    if alone:
        return f"{name}={alone}" + (f" {found['value']}" if found["value"] else "")
    return f"{name}={found['value'] if found['value'].isupper() else repr(found['value'])}" if found["value"] else name


def _argument(flag: str) -> tuple[str, str]:
    return ARGUMENTS.get(f"--{flag}") or (("budget" if flag.startswith("max-") else flag.replace("-", "_")), "")


def _inputs(found: re.Match[str]) -> str:
    shapes = ", ".join(f'"{name}": {_shape(shape)}' for name, shape in INPUT.findall(found[0]))
    return f"inputs={{{shapes}}}"


def _shape(written: str) -> str:
    if not written[0].isalnum():
        return "(...)"
    extents = written.split("x")
    return f"({', '.join(extents)}{',' if len(extents) == 1 else ''})"
