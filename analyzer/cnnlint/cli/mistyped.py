"""What is said of options and arguments that click cannot read: as all errors are worded, and with what was meant."""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import isnan
from typing import Any

import click

from cnnlint.errors import CnnlintError, ConfigError, closest, did_you_mean

UNEXPECTED = re.compile(r"unexpected extra arguments? \((?P<words>.*)\)")
"""How click names arguments that a command does not take."""


class OneOf(click.Choice[str]):
    """A word of a list."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the word.

        Raises:
            ConfigError: It is not in the list.
        """
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            raise unknown_word(param, str(value), self.choices) from None


class Whole(click.IntRange):
    """A whole number that is not too small."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number.

        Raises:
            ConfigError: It is none, or too small.
        """
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter:
            raise _wrong_number("a whole number", self, param, value) from None


class Number(click.FloatRange):
    """A number that is not too small."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number.

        Raises:
            ConfigError: It is none, or too small.
        """
        try:
            number = super().convert(value, param, ctx)
            if not isnan(number):  # which is in every range
                return number
        except click.BadParameter:
            pass
        raise _wrong_number("a number", self, param, value)


def unknown_word(param: click.Parameter | None, word: str, known: Iterable[object]) -> ConfigError:
    """Return the error for a `word` that is none of those that an option or argument knows."""
    *others, last = map(str, known)
    remedy = did_you_mean(word, [*others, last]) or f"write {', '.join(others)} or {last}"
    return ConfigError(f"{called(param)}{word} is not known", remedy=remedy)


def _wrong_number(
    kind: str, allowed: click.IntRange | click.FloatRange, param: click.Parameter | None, value: Any
) -> ConfigError:
    try:
        small = float(value) < float(allowed.min or 0)
    except ValueError:
        small = False
    fault = "is too small" if small else f"is not {kind}"
    return ConfigError(f"{called(param)}{value} {fault}", remedy=f"write {allowed.min:g} or more")


def called(param: click.Parameter | None) -> str:
    """Return an option as it stands ahead of its value, "--jobs " and not "-j "; nothing for an argument."""
    return f"{max(param.opts, key=len)} " if isinstance(param, click.Option) else ""


def error_of_usage(error: click.UsageError, command: str) -> CnnlintError:
    """Return what to say of a command line that click cannot read; it asks for `command`, where the error is silent."""
    ctx = error.ctx
    command = ctx.command_path if ctx else command
    listed = f"`{command} --help` lists the options"
    if isinstance(error, click.NoSuchOption):
        known = _options(ctx) if ctx else {}
        found = closest(error.option_name, [name for name in known if name.startswith("--")])
        # a name that is right is one of cnnlint itself, and stands where a command's own are read
        right = known.get(error.option_name)
        meant = f"write {right}" if right else f"did you mean {known[found]}?" if found else None
        return ConfigError(f"there is no option {error.option_name}", remedy=meant or listed)
    if isinstance(error, click.BadOptionUsage):
        fault = "takes no value" if "does not take" in error.message else "needs a value"
        return ConfigError(f"{error.option_name} {fault}", remedy=listed)
    if ctx is not None and isinstance(error, click.MissingParameter) and error.param is not None:
        return ConfigError(
            f"{called(error.param)}{error.param.make_metavar(ctx)} is missing", remedy=f"write `{_usage(ctx)}`"
        )
    extra = UNEXPECTED.search(error.message)
    if ctx is not None and extra:
        several = " " in extra["words"]
        return ConfigError(f"{extra['words']} {'are' if several else 'is'} too much", remedy=f"write `{_usage(ctx)}`")
    return ConfigError(error.format_message().rstrip("."), remedy=listed)


def _options(ctx: click.Context) -> dict[str, str]:
    """Return how each option is written: a command's own as it is, one of cnnlint itself as "`cnnlint --version`"."""
    root = ctx.find_root()
    above = {name: f"`{root.command_path} {name}`" for param in root.command.get_params(root) for name in param.opts}
    return above | {name: name for param in ctx.command.get_params(ctx) for name in param.opts}


def _usage(ctx: click.Context) -> str:
    """Return the shortest command line that is whole, "cnnlint fleet GLOB... --out FOLDER"."""
    needed = [param for param in ctx.command.get_params(ctx) if param.required]
    words = [param.make_metavar(ctx) for param in needed if isinstance(param, click.Argument)]
    words += [f"{called(param)}{param.make_metavar(ctx)}" for param in needed if isinstance(param, click.Option)]
    return " ".join([ctx.command_path, *words])
