"""Amounts as people write them, "5 M" and "20 MiB", and as reports show them."""

from __future__ import annotations

import re
from typing import Literal

from cnnlint.errors import ConfigError

Unit = Literal["count", "bytes", "share"]

UNKNOWN = "unknown"
"""What stands for a number that nobody knows."""

DECIMAL = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "b": 10**9, "t": 10**12}
"""Factors of a count; "b" is the field's own word for a billion parameters."""

BYTES = {
    "": 1, "b": 1,
    "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12,
    "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
    "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
}  # fmt: skip
"""Factors of a size; only the names with an i are binary (IEC 80000-13)."""

AMOUNT = r"(?P<whole>\d[\d_,]*)(?:\.(?P<part>\d+))?\s*(?P<unit>[A-Za-z%]*)"

SHOWN_AS = {
    "count": "a number such as 5000000 or 5 M",
    "bytes": "a size such as 20 MB or 20 MiB",
    "share": "a share such as 50 % or 0.5",
}


def parse_amount(written: float | str, unit: Unit) -> int | float:
    """Return the number that `written` stands for: a whole one for counts and bytes, 0 to 1 for shares.

    A fraction of a byte or of a parameter is cut off, so that no limit is widened.

    Raises:
        ConfigError: It is no amount of this unit, or negative.
    """
    matched = re.fullmatch(AMOUNT, _plain(written))
    if matched is None or isinstance(written, bool):
        raise _not_an_amount(written, unit)
    digits, part, suffix = matched["whole"].replace("_", "").replace(",", ""), matched["part"] or "", matched["unit"]
    numerator, denominator = int(digits + part), 10 ** len(part)
    if unit == "share":
        if suffix not in ("", "%"):
            raise _not_an_amount(written, unit)
        share = numerator / (denominator * (100 if suffix else 1))
        if share > 1:
            raise ConfigError(f"a share of {written} is more than the whole", remedy=f"write {SHOWN_AS[unit]}")
        return share
    factor = (BYTES if unit == "bytes" else DECIMAL).get(suffix.lower())
    if factor is None:
        raise _not_an_amount(written, unit)
    return numerator * factor // denominator


def format_amount(amount: float, unit: Unit) -> str:
    """Return `amount` in full: "138,357,544", "553,430,176 bytes", "74.3%"."""
    match unit:
        case "share":
            return f"{amount:.1%}"
        case "bytes":
            return f"{amount:,} bytes"
        case "count":
            return f"{amount:,}"


def brief(number: float | None) -> str:
    """Return `number` to three digits with a unit: "15.5 G"."""
    return UNKNOWN if number is None else _scaled(number, ("", " k", " M", " G", " T", " P"))


def size(nbytes: float | None) -> str:
    """Return bytes to three digits with a decimal unit: "553 MB"."""
    return UNKNOWN if nbytes is None else _scaled(nbytes, (" B", " kB", " MB", " GB", " TB", " PB"))


def _plain(written: float | str) -> str:
    if isinstance(written, float):
        return f"{written:f}".rstrip("0").rstrip(".")
    return str(written).strip()


def _not_an_amount(written: object, unit: Unit) -> ConfigError:
    return ConfigError(f"{written!r} is not {SHOWN_AS[unit].partition(' such')[0]}", remedy=f"write {SHOWN_AS[unit]}")


def _scaled(number: float, units: tuple[str, ...]) -> str:
    sign, number = ("−", -number) if number < 0 else ("", number)
    scale = 0
    while scale < len(units) - 1 and float(f"{number:.3g}") >= 1000:
        number, scale = number / 1000, scale + 1
    if scale == 0:
        digits = f"{number:,.0f}"
    else:
        digits = f"{number:.0f}" if number >= 99.95 else f"{number:.1f}" if number >= 9.995 else f"{number:.2f}"
    return f"{sign}{digits}{units[scale]}"
