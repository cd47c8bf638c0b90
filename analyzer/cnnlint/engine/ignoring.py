"""What becomes of findings under the ignores of the configuration and of the model, and of bad ignores."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import date
from fnmatch import fnmatchcase

from msgspec import Struct
from msgspec.structs import replace

from cnnlint.engine.budget import BudgetRule
from cnnlint.engine.housekeeping import ExpiredIgnore, MalformedIgnore, UnusedIgnore
from cnnlint.engine.registry import RuleSet
from cnnlint.engine.rule import Diagnostic, Rule, TargetRule
from cnnlint.engine.telling import Hit, as_finding
from cnnlint.engine.walker import Walk
from cnnlint.graph.graph import Graph
from cnnlint.results import Finding, ModelReport

UNTIL = r"\s*\(\s*[Uu]ntil\s+(?P<date>[^)]*?)\s*\)\s*$"
DATE = r"(?P<year>\d{4})-(?P<month>\d{2})(?:-(?P<day>\d{2}))?"


class Ignore(Struct, frozen=True, kw_only=True):
    """A wish to hide what some rules find.

    Attributes:
        selector: A code, a name, a family or "ALL".
        layers: Globs of layer names, in which `*` passes slashes too, or identities of places; () for the whole model.
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
        identities = {place.identity for place in finding.places}
        meant = finding.layers[0] if finding.layers else None
        return any(
            name in identities or (meant is not None and (name == meant or fnmatchcase(meant, name)))
            for name in self.layers
        )


class Suppression(Struct, frozen=True):
    """What is left after ignores.

    Attributes:
        hits: Those not hidden.
        suppressed: How many are hidden.
        unused: The ignores that hid nothing.
    """

    hits: tuple[Hit, ...]
    suppressed: int
    unused: tuple[Ignore, ...]


class Flaw(Struct, frozen=True):
    """An ignore of a model that is not honored.

    Attributes:
        code: The rule that it names.
        origin: Its metadata key.
        cause: What is wrong with it, as a clause.
    """

    code: str
    origin: str
    cause: str


def suppress(
    hits: Sequence[Hit], ignores: Sequence[Ignore], *, today: date, protected: Collection[str] = ()
) -> Suppression:
    """Hide the hits that `ignores` cover.

    Args:
        hits: What the rules said, place by place.
        ignores: From the configuration and from the model.
        today: Decides which ignores have run out.
        protected: Codes that only the configuration may ignore, and not the model.
    """
    valid = [ignore for ignore in ignores if ignore.until is None or today < ignore.until]
    used = set[int]()
    kept = list[Hit]()
    for hit in hits:
        hiding = [
            index
            for index, ignore in enumerate(valid)
            if ignore.covers(hit.finding) and not (ignore.by_model and hit.finding.code in protected)
        ]
        used.update(hiding)
        if not hiding:
            kept.append(hit)
    unused = tuple(ignore for index, ignore in enumerate(valid) if index not in used)
    return Suppression(tuple(kept), len(hits) - len(kept), unused)


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
        raise ValueError(f"{found['date']!r} is not a date such as 2027-01 or 2027-01-31")
    year, month, day = int(matched["year"]), int(matched["month"]), matched["day"]
    try:
        end = date.fromordinal(date(year, month, int(day)).toordinal() + 1) if day else _month_after(year, month)
    except ValueError as error:
        raise ValueError(f"{found['date']!r} is not a date: {error}") from error
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


class Applied(Struct, frozen=True):
    """The hits that are left, those about ignores among them, and how many are hidden."""

    hits: tuple[Hit, ...]
    suppressed: int


def apply_ignores(
    walked: Walk,
    graph: Graph,
    configured: tuple[Ignore, ...],
    known: RuleSet,
    *,
    honor_model: bool,
    enabled: Iterable[type[Rule]],
    today: date,
) -> Applied:
    """Hide what is to be ignored, and say which ignores are wrong, have run out or hide nothing.

    Args:
        walked: What the rules said.
        graph: Holds what the model asks to have ignored.
        configured: The ignores that the configuration has for this model.
        known: All rules there are.
        honor_model: Whether what the model asks to have ignored is; findings on budgets never are.
        enabled: The rules that run; findings about ignores keep to it too.
        today: Decides which ignores have run out.
    """
    of_model, flaws = ignores_of_model(graph.ignores) if honor_model else ((), ())
    unknown = [ignore for ignore in of_model if not known.matching(ignore.selector)]
    flaws += tuple(
        Flaw(ignore.selector, ignore.origin, known.retired(ignore.selector) or "names no rule") for ignore in unknown
    )
    ignores = (*configured, *(ignore for ignore in of_model if ignore not in unknown))
    gates = {rule.code for rule in known if issubclass(rule, (BudgetRule, TargetRule))}
    result = suppress(walked.hits, ignores, today=today, protected=gates)
    remarks = [
        *_malformed(flaws),
        *_outdated(expired(ignores, today)),
        *_unused([ignore for ignore in result.unused if _was_tried(ignore, walked, known)]),
    ]
    codes = {rule.code for rule in enabled}
    own = [Hit(rule, (), as_finding(remark)) for rule, remark in remarks if rule.code in codes]
    about_ignores = suppress(own, configured, today=today)
    return Applied((*result.hits, *about_ignores.hits), result.suppressed + about_ignores.suppressed)


def once_per_run(
    reports: Sequence[ModelReport], ignores_for: Callable[[str], tuple[Ignore, ...]]
) -> tuple[ModelReport, ...]:
    """Return `reports` with an ignore of several models called unused once, and only if it hides nothing in any.

    Each report says by itself which ignores hide nothing in its model; what that means for an ignore by glob only all
    reports together can say. The first report keeps the finding.

    Args:
        reports: Of all models of the run.
        ignores_for: Gives the configuration's ignores for the model at a path.
    """
    sharers = dict[Ignore, list[int]]()
    for index, report in enumerate(reports):
        for ignore in ignores_for(report.path):
            sharers.setdefault(ignore, []).append(index)
    gone = dict[int, set[str]]()
    for ignore, places in sharers.items():
        said = [index for index in places if _calls_unused(reports[index], ignore)]
        for index in said[1:] if len(said) == len(places) else said:
            gone.setdefault(index, set()).add(_unused_message(ignore))
    return tuple(
        replace(report, findings=tuple(each for each in report.findings if not _is_gone(each, gone.get(index, ()))))
        for index, report in enumerate(reports)
    )


def _calls_unused(report: ModelReport, ignore: Ignore) -> bool:
    return any(_is_gone(finding, (_unused_message(ignore),)) for finding in report.findings)


def _is_gone(finding: Finding, messages: Iterable[str]) -> bool:
    return finding.code == UnusedIgnore.code and finding.message in messages


def _was_tried(ignore: Ignore, walked: Walk, known: RuleSet) -> bool:
    """Return whether every rule that `ignore` is about has looked at the model."""
    if not ignore.reportable:
        return False
    return all(rule.code in walked.finished for rule in known.matching(ignore.selector))


def _malformed(flaws: Iterable[Flaw]) -> Iterator[tuple[Rule, Diagnostic]]:
    rule = MalformedIgnore()
    for flaw in flaws:
        message = f"The model's {flaw.origin} is not honored: {flaw.cause}."
        yield rule, rule.finding(message=message, evidence={}, subject=flaw.origin)


def _outdated(ignores: Iterable[Ignore]) -> Iterator[tuple[Rule, Diagnostic]]:
    rule = ExpiredIgnore()
    for ignore in ignores:
        reason = f"; its reason was: {ignore.reason}" if ignore.reason else ""
        message = (
            f"The ignore of {ignore.selector} in {ignore.origin} has not been honored since {ignore.until}{reason}."
        )
        yield rule, rule.finding(message=message, evidence={}, subject=_subject(ignore))


def _unused(ignores: Iterable[Ignore]) -> Iterator[tuple[Rule, Diagnostic]]:
    rule = UnusedIgnore()
    for ignore in ignores:
        yield rule, rule.finding(message=_unused_message(ignore), evidence={}, subject=_subject(ignore))


def _unused_message(ignore: Ignore) -> str:
    at = f" at {', '.join(ignore.layers)}" if ignore.layers else ""
    return f"The ignore of {ignore.selector}{at} in {ignore.origin} hides nothing."


def _subject(ignore: Ignore) -> str:
    """Return what the ignore is about, without its line, which moves."""
    return f"{ignore.selector} {' '.join(ignore.layers)}"
