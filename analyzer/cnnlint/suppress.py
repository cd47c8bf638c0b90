"""Ignores: findings that the configuration or the model itself asks to hide, each with its reason."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date
from fnmatch import fnmatchcase

from msgspec import Struct

from cnnlint.finding import Finding

UNTIL = r"\s*\(\s*[Uu]ntil\s+(?P<date>[^)]*?)\s*\)\s*$"
DATE = r"(?P<year>\d{4})-(?P<month>\d{2})(?:-(?P<day>\d{2}))?"


class Ignore(Struct, frozen=True, kw_only=True):
    """A wish to hide what some rules find.

    Attributes:
        selector: A code, a name, a family or "ALL".
        layers: Globs of layer names, in which `*` passes slashes too; () for the whole model.
        reason: Why; "" if it does not say.
        until: The first day on which it no longer counts; None if it has no end.
        origin: Where it stands: "cnnlint.toml:12", or the model's metadata key.
        by_model: Whether the model says so about itself; budgets do not listen then.
        reportable: Whether to say so when it hides nothing.
    """

    selector: str
    layers: tuple[str, ...] = ()
    reason: str = ""
    until: date | None = None
    origin: str = ""
    by_model: bool = False
    reportable: bool = True

    def covers(self, finding: Finding) -> bool:
        """Return whether `finding` is one that it hides, dates aside."""
        named = self.selector.upper() in ("ALL", finding.code) or self.selector.lower() == finding.name
        if not named and not finding.code.startswith(self.selector.upper()):
            return False
        if not self.layers or "*" in self.layers:
            return True
        return bool(finding.layers) and any(
            name == finding.layers[0] or fnmatchcase(finding.layers[0], name) for name in self.layers
        )


class Suppression(Struct, frozen=True):
    """What is left after ignores.

    Attributes:
        findings: Those not hidden.
        suppressed: How many are hidden.
        unused: The ignores that hid nothing.
    """

    findings: tuple[Finding, ...]
    suppressed: int
    unused: tuple[Ignore, ...]


class Flaw(Struct, frozen=True):
    """An ignore of a model that is not honoured.

    Attributes:
        code: The rule that it names.
        origin: Its metadata key.
        cause: What is wrong with it, as a clause.
    """

    code: str
    origin: str
    cause: str


def suppress(
    findings: Sequence[Finding], ignores: Sequence[Ignore], *, today: date, unyielding: Iterable[str] = ()
) -> Suppression:
    """Hide the findings that `ignores` cover.

    Args:
        findings: What the rules said.
        ignores: From the configuration and from the model.
        today: Decides which ignores have run out.
        unyielding: Codes that do not listen to what the model says about itself.
    """
    deaf = frozenset(unyielding)
    valid = [ignore for ignore in ignores if ignore.until is None or today < ignore.until]
    used = set[int]()
    kept = list[Finding]()
    for finding in findings:
        hiding = [
            index
            for index, ignore in enumerate(valid)
            if ignore.covers(finding) and not (ignore.by_model and finding.code in deaf)
        ]
        used.update(hiding)
        if not hiding:
            kept.append(finding)
    unused = tuple(ignore for index, ignore in enumerate(valid) if index not in used)
    return Suppression(tuple(kept), len(findings) - len(kept), unused)


def parse_reason(written: str) -> tuple[str, date | None]:
    """Split "historical (until 2027-01)" into the reason and the first day on which it no longer counts.

    A month counts to its end, as does a day.

    Raises:
        ValueError: The date is none.
    """
    if (found := re.search(UNTIL, written)) is None:
        return written.strip(), None
    matched = re.fullmatch(DATE, found["date"])
    if matched is None:
        raise ValueError(f"{found['date']!r} is no date such as 2027-01 or 2027-01-31")
    year, month, day = int(matched["year"]), int(matched["month"]), matched["day"]
    try:
        end = date.fromordinal(date(year, month, int(day)).toordinal() + 1) if day else _month_after(year, month)
    except ValueError as error:
        raise ValueError(f"{found['date']!r} is no date: {error}") from error
    return written[: found.start()].strip(), end


def ignores_of_model(entries: Iterable[tuple[str, str]]) -> tuple[tuple[Ignore, ...], tuple[Flaw, ...]]:
    """Read what a model asks to have ignored: (code, "fc1, head/*: reason (until 2027-01)").

    Layers come before the first colon that a space follows; `*` stands for the whole model.
    """
    ignores, flaws = list[Ignore](), list[Flaw]()
    for code, value in entries:
        origin = f"cnnlint.ignore.{code}"
        layers, colon, rest = value.partition(": ")
        try:
            reason, until = parse_reason(rest)
        except ValueError as error:
            flaws.append(Flaw(code, origin, str(error)))
            continue
        names = tuple(name.strip() for name in layers.split(",") if name.strip())
        if not colon or not reason or not names:
            flaws.append(Flaw(code, origin, f"{value!r} is not of the form `LAYERS: REASON`"))
            continue
        ignores.append(Ignore(selector=code, layers=names, reason=reason, until=until, origin=origin, by_model=True))
    return tuple(ignores), tuple(flaws)


def expired(ignores: Iterable[Ignore], today: date) -> tuple[Ignore, ...]:
    """Return the ignores that no longer count."""
    return tuple(ignore for ignore in ignores if ignore.until is not None and today >= ignore.until)


def _month_after(year: int, month: int) -> date:
    first = date(year, month, 1)
    return date(first.year + first.month // 12, first.month % 12 + 1, 1)
