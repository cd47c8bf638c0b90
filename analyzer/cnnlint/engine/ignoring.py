"""What becomes of findings under the ignores of configuration, model and code, and of bad ignores."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import date
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from cnnlint.engine.budget import BudgetRule
from cnnlint.engine.housekeeping import ExpiredIgnore, MalformedIgnore, UnusedIgnore
from cnnlint.engine.registry import RuleSet
from cnnlint.engine.rule import Rule, TargetRule
from cnnlint.engine.telling import Hit, as_finding
from cnnlint.engine.walker import Walk
from cnnlint.graph.graph import Graph
from cnnlint.results import Finding, Frame, ModelReport

if TYPE_CHECKING:
    from cnnlint.definitions.comments import Wish

UNTIL = r"\s*\(\s*[Uu]ntil\s+(?P<date>[^)]*?)\s*\)\s*$"
IN_CODE = "# cnnlint: ignore[CODES] REASON"
"""The form of an ignore in code."""

ABOUT_IGNORES = frozenset({UnusedIgnore.code, MalformedIgnore.code, ExpiredIgnore.code})

DATE = r"(?P<year>\d{4})-(?P<month>\d{2})(?:-(?P<day>\d{2}))?"


class Ignore(Struct, frozen=True, kw_only=True):
    """A wish to hide what some rules find.

    Attributes:
        selector: A code, a name, a family or "ALL".
        layers: Globs of layer names, in which `*` passes slashes too, or identities of places; () for the whole model.
        reason: Why; "" if it does not say.
        until: The first day on which it no longer counts; None if it has no end.
        origin: Where it stands: "cnnlint.toml:12", or the model's metadata key.
        by_model: Whether the model, or the code that defines it, says so about itself; budgets do not listen then.
        reportable: Whether to say so when it hides nothing.
        lines: The lines of code whose layers it is about: "train.py:42"; None if it is not tied to any.
        frame: Where it stands in the code that defines the network; None if it stands elsewhere.
    """

    selector: str
    layers: tuple[str, ...] = ()
    reason: str = ""
    until: date | None = None
    origin: str = ""
    by_model: bool = False
    reportable: bool = True
    lines: tuple[str, ...] | None = None
    frame: Frame | None = None

    def covers(self, finding: Finding) -> bool:
        """Return whether `finding` is one that it hides, dates aside."""
        named = self.selector.upper() in ("ALL", finding.code) or self.selector.lower() == finding.name
        if not named and not finding.code.startswith(self.selector.upper()):
            return False
        if self.lines is not None:  # the line that made the layer, or one that called it
            return any(frame.where in self.lines for place in finding.places for frame in place.frames)
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
    """An ignore of a model, or in the code that defines it, that is not honored.

    Attributes:
        origin: Its metadata key, or where it stands in the code.
        cause: What is wrong with it, as a clause.
        frame: Where it stands in the code; None if it stands in the model.
    """

    origin: str
    cause: str
    frame: Frame | None = None


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
            flaws.append(Flaw(origin, str(error)))
            continue
        names = tuple(name.strip() for name in layers.split(",") if name.strip())
        if not colon or not reason or not names:
            flaws.append(Flaw(origin, f"{value!r} is not of the form `LAYERS: REASON`"))
            continue
        ignores.append(Ignore(selector=code, layers=names, reason=reason, until=until, origin=origin, by_model=True))
    return tuple(ignores), tuple(flaws)


def ignores_in_code(wishes: Iterable[Wish]) -> tuple[tuple[Ignore, ...], tuple[Flaw, ...]]:
    """Read what the code of a network asks to have ignored, a code of a comment each."""
    ignores, flaws = list[Ignore](), list[Flaw]()
    for wish in wishes:
        origin, frame = wish.frame.where, wish.frame
        try:
            reason, until = parse_reason(wish.comment.reason)
        except ValueError as error:
            flaws.append(Flaw(origin, str(error), frame))
            continue
        if not wish.comment.selectors:
            said = wish.frame.text[frame.begin : frame.end]
            flaws.append(Flaw(origin, f"{said!r} is not of the form `{IN_CODE}`", frame))
        elif not reason:
            flaws.append(Flaw(origin, f"it gives no reason; write `{IN_CODE}`", frame))
        else:
            ignores += [
                Ignore(
                    selector=selector,
                    reason=reason,
                    until=until,
                    origin=origin,
                    by_model=True,
                    # one that speaks for no layer of this network may do so for those of another
                    reportable=bool(wish.lines) or wish.is_apart,
                    lines=wish.lines,
                    frame=frame,
                )
                for selector in wish.comment.selectors
            ]
    return tuple(ignores), tuple(flaws)


def expired(ignores: Iterable[Ignore], today: date) -> tuple[Ignore, ...]:
    """Return the ignores that no longer count."""
    return tuple(ignore for ignore in ignores if ignore.until is not None and today >= ignore.until)


def _month_after(year: int, month: int) -> date:
    first = date(year, month, 1)
    return date(first.year + first.month // 12, first.month % 12 + 1, 1)


class Applied(Struct, frozen=True):
    """What is left after ignores, and what is said of these.

    Attributes:
        hits: Those not hidden, and those about ignores.
        suppressed: How many are hidden.
        in_code: Those ignores in the code of the network of which it matters whether they hide anything.
    """

    hits: tuple[Hit, ...]
    suppressed: int
    in_code: tuple[Ignore, ...] = ()


def apply_ignores(
    walked: Walk,
    graph: Graph,
    configured: tuple[Ignore, ...],
    known: RuleSet,
    *,
    honor_model: bool,
    enabled: Iterable[type[Rule]],
    today: date,
    wishes: Iterable[Wish] = (),
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
        wishes: What the code of the network asks to have ignored, honored as what the model asks is.
    """
    of_model, flaws = ignores_of_model(graph.ignores) if honor_model else ((), ())
    in_code, further = ignores_in_code(wishes) if honor_model else ((), ())
    named = [ignore for ignore in (*of_model, *in_code) if known.matching(ignore.selector)]
    unknown = [ignore for ignore in (*of_model, *in_code) if ignore not in named]
    flaws += (*further, *(Flaw(ignore.origin, _no_rule(ignore.selector, known), ignore.frame) for ignore in unknown))
    ignores = (*configured, *named)
    gates = {rule.code for rule in known if issubclass(rule, (BudgetRule, TargetRule))}
    result = suppress(walked.hits, ignores, today=today, protected=gates)
    said = [
        *_malformed(flaws),
        *_outdated(expired(ignores, today)),
        *_unused([ignore for ignore in result.unused if _was_tried(ignore, walked, known)]),
    ]
    codes = {rule.code for rule in enabled}
    own = [hit for hit in said if hit.rule.code in codes]
    about_ignores = suppress(own, configured, today=today)
    return Applied(
        (*result.hits, *about_ignores.hits),
        result.suppressed + about_ignores.suppressed,
        tuple(ignore for ignore in named if ignore.frame is not None and ignore.reportable),
    )


def _no_rule(selector: str, known: RuleSet) -> str:
    error = known.unknown(selector)
    return known.retired(selector) or f"{selector} names no rule ({error.remedy})"


def once_per_run(
    reports: Sequence[ModelReport], ignores_for: Callable[[str], tuple[Ignore, ...]], *, is_whole: bool = True
) -> tuple[ModelReport, ...]:
    """Return `reports` with what there is to say of an ignore of several models said once, of the first of them.

    Each report says by itself which ignores hide nothing in its model; what that means for an ignore by glob, or in
    code that makes several networks, only all reports together can say: it must hide nothing in any.

    Args:
        reports: Of all models of the run.
        ignores_for: Gives the ignores of configuration and code for the model at a path.
        is_whole: Whether the run holds all networks that the configuration defines by code: an ignore in code may be of
            use to one that it does not hold.
    """
    sharers = dict[Ignore | str, list[int]]()
    gone = dict[int, set[str]]()
    seen = set[str]()
    for index, report in enumerate(reports):
        for ignore in ignores_for(report.path):
            sharers.setdefault(ignore if ignore.frame is None else _unused_message(ignore), []).append(index)
        for finding in report.findings:
            if finding.code in {MalformedIgnore.code, ExpiredIgnore.code} and finding.places[0].frames:
                (gone.setdefault(index, set()) if finding.message in seen else seen).add(finding.message)
    for shared, places in sharers.items():
        is_in_code = isinstance(shared, str)
        message = shared if is_in_code else _unused_message(shared)
        said = [index for index in places if any(_is_gone(each, (message,)) for each in reports[index].findings)]
        is_unused = len(said) == len(places) and (is_whole or not is_in_code)
        for index in said[1:] if is_unused else said:
            gone.setdefault(index, set()).add(message)
    return tuple(
        replace(report, findings=tuple(each for each in report.findings if not _is_gone(each, gone.get(index, ()))))
        for index, report in enumerate(reports)
    )


def _is_gone(finding: Finding, messages: Collection[str]) -> bool:
    return finding.code in ABOUT_IGNORES and finding.message in messages


def _was_tried(ignore: Ignore, walked: Walk, known: RuleSet) -> bool:
    """Return whether every rule that `ignore` is about has looked at the model."""
    if not ignore.reportable:
        return False
    return all(rule.code in walked.finished for rule in known.matching(ignore.selector))


def _malformed(flaws: Iterable[Flaw]) -> Iterator[Hit]:
    for flaw in flaws:
        which = f"The model's {flaw.origin}" if flaw.frame is None else f"The ignore in {flaw.origin}"
        message = f"{which} is not honored: {flaw.cause}."
        subject = flaw.origin if flaw.frame is None else f"{_beside(flaw.frame)} {flaw.cause}"
        yield _about(MalformedIgnore(), message, subject, flaw.frame)


def _outdated(ignores: Iterable[Ignore]) -> Iterator[Hit]:
    for ignore in ignores:
        reason = f"; its reason was: {ignore.reason}" if ignore.reason else ""
        message = (
            f"The ignore of {ignore.selector} in {ignore.origin} has not been honored since {ignore.until}{reason}."
        )
        yield _about(ExpiredIgnore(), message, _subject(ignore), ignore.frame)


def _unused(ignores: Iterable[Ignore]) -> Iterator[Hit]:
    for ignore in ignores:
        yield _about(UnusedIgnore(), _unused_message(ignore), _subject(ignore), ignore.frame)


def _about(rule: Rule, message: str, subject: str, frame: Frame | None) -> Hit:
    """Return what is said of an ignore, on its line if it stands in code."""
    finding = as_finding(rule.finding(message=message, evidence={}, subject=subject))
    if frame is not None:
        finding = replace(
            finding, places=tuple(replace(each, source=frame.where, frames=(frame,)) for each in finding.places)
        )
    return Hit(rule, (), finding)


def _unused_message(ignore: Ignore) -> str:
    at = f" at {', '.join(ignore.layers)}" if ignore.layers else ""
    why = ": no code stands on its line" if ignore.lines == () else ""
    return f"The ignore of {ignore.selector}{at} in {ignore.origin} hides nothing{why}."


def _subject(ignore: Ignore) -> str:
    """Return what the ignore is about, without its line, which moves."""
    return f"{ignore.selector} {' '.join(ignore.layers) if ignore.frame is None else _beside(ignore.frame)}"


def _beside(frame: Frame) -> str:
    """Return the code that a comment stands beside."""
    return f"{frame.file} {frame.text[: frame.begin].strip()}"
