"""Parse amounts such as "5 M" and "20 MiB", and format amounts for reports."""

from __future__ import annotations

import re
from math import floor, inf, isinf, isnan, log10
from typing import Literal

from cnnlint.errors import ConfigError

Unit = Literal["count", "bytes", "share"]

UNKNOWN = "unknown"
"""Shown for an unknown number."""

EXACT_BELOW = 10**24
"""Numbers from here on are shown in scientific notation: more digits are unreadable, and Python refuses to write more
than 4,300."""

DECIMAL = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "b": 10**9, "t": 10**12}
"""Factors of a count; "b" is common for a billion parameters."""

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
    "share": "a share such as 50% or 0.5",
}


def parse_amount(written: float | str, unit: Unit) -> int | float:
    """Parse an amount: an integer for counts and bytes, 0 to 1 for shares.

    Fractions of a byte or parameter are rounded down, so no limit is widened.

    Raises:
        ConfigError: It is not an amount of this unit, or negative.
    """
    matched = re.fullmatch(AMOUNT, _plain(written))
    if not isinstance(written, bool) and re.fullmatch(f"[-−] *{AMOUNT}", _plain(written).strip()):
        raise ConfigError(f"{written!r} is negative", remedy=f"write 0 or more: {SHOWN_AS[unit]}")
    if matched is None or isinstance(written, bool):
        raise _not_an_amount(written, unit)
    digits, part, suffix = matched["whole"].replace("_", "").replace(",", ""), matched["part"] or "", matched["unit"]
    numerator, denominator = int(digits + part), 10 ** len(part)
    if unit == "share":
        if suffix not in ("", "%"):
            raise _not_an_amount(written, unit)
        share = ratio(numerator, denominator * (100 if suffix else 1))
        if share > 1:
            raise ConfigError(f"a share of {written} is more than the whole", remedy=f"write {SHOWN_AS[unit]}")
        return share
    factor = (BYTES if unit == "bytes" else DECIMAL).get(suffix.lower())
    if factor is None:
        raise _not_an_amount(written, unit)
    return numerator * factor // denominator


def count(number: float | None) -> str:
    """Format `number` with thousands separators, "138,357,544"; a very large one as "1.00 × 10^400"."""
    return UNKNOWN if number is None else _odd(number) or f"{number + 0:,}"  # -0.0 + 0 is 0.0


def extent(number: int) -> str:
    """Format an extent of a shape or a factor of a product: "1024"; a very large one as "1.00 × 10^400"."""
    return _odd(number) or str(number)


def share(fraction: float, decimals: int = 1) -> str:
    """Format a fraction as a percentage: "73.9%"."""
    if odd := _odd(fraction):
        return f"{odd} × 100%" if odd[-1].isdigit() else odd
    return f"{fraction if round(fraction, decimals + 2) else 0.0:.{decimals}%}"


def ratio(part: float, whole: float) -> float:
    """Return `part / whole` for numbers of any size; infinite if the result is too large for a float.

    Raises:
        ZeroDivisionError: `whole` is zero.
    """
    try:
        return part / whole
    except OverflowError:
        return inf if (part < 0) == (whole < 0) else -inf


def format_amount(amount: float, unit: Unit) -> str:
    """Format `amount` in full: "138,357,544", "553,430,176 bytes", "74.3%"."""
    match unit:
        case "share":
            return share(amount)
        case "bytes":
            return f"{count(amount)} bytes"
        case "count":
            return count(amount)


def brief(number: float | None) -> str:
    """Format `number` with three digits and a unit: "15.5 G"."""
    return UNKNOWN if number is None else _scaled(number, ("", " k", " M", " G", " T", " P"))


def size(nbytes: float | None) -> str:
    """Format bytes with three digits and a decimal unit: "553 MB"."""
    return UNKNOWN if nbytes is None else _scaled(nbytes, (" B", " kB", " MB", " GB", " TB", " PB"))


def _plain(written: float | str) -> str:
    if isinstance(written, float):
        return f"{written:f}".rstrip("0").rstrip(".")
    return str(written).strip()


def _not_an_amount(written: object, unit: Unit) -> ConfigError:
    return ConfigError(f"{written!r} is not {SHOWN_AS[unit].partition(' such')[0]}", remedy=f"write {SHOWN_AS[unit]}")


def _scaled(number: float, units: tuple[str, ...]) -> str:
    if odd := _odd(number):
        return f"{odd}{units[0]}"
    sign, number = ("−", -number) if number < 0 else ("", number + 0)
    scale = 0
    while scale < len(units) - 1 and float(f"{number:.3g}") >= 1000:
        number, scale = number / 1000, scale + 1
    if scale == 0:
        digits = f"{number:,.0f}"
    else:
        digits = f"{number:.0f}" if number >= 99.95 else f"{number:.1f}" if number >= 9.995 else f"{number:.2f}"
    return f"{sign if digits != '0' else ''}{digits}{units[scale]}"


def _odd(number: float) -> str:
    """Format a number that is not finite or very large; return "" for all others."""
    if isinstance(number, float) and isnan(number):
        return "not a number"
    if -EXACT_BELOW < number < EXACT_BELOW:
        return ""
    sign = "−" if number < 0 else ""
    if isinstance(number, float) and isinf(number):
        return f"{sign}∞"
    exponent = floor(power := log10(abs(number)))  # of an int of any size, where float(number) would overflow
    mantissa = f"{10 ** (power - exponent):.2f}"
    if mantissa == "10.00":
        mantissa, exponent = "1.00", exponent + 1
    return f"{sign}{mantissa} × 10^{exponent:,}"
