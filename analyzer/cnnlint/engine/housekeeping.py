"""What cnnlint reports of its own work: ignores that are wrong (CF), rules that crashed, runs that did not end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnlint.engine.rule import Diagnostic, Rule, Where
from cnnlint.results import UNFINISHED, Confidence, NearMiss, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnnlint.analysis.context import Context
    from cnnlint.runtime.probe import Probe


class HousekeepingRule(Rule):
    """A rule without a check: the engine reports under its code, whatever rules are selected.

    It can be ignored and given another severity as any rule can.
    """

    always_selected = True

    def run(self, _context: Context, _probe: Probe | None, /) -> Iterator[tuple[Where, Diagnostic | NearMiss]]:
        """Say nothing of the network."""
        yield from ()

    @classmethod
    def flaw(cls) -> str:
        """Return that nothing is missing."""
        return ""


class UnusedIgnore(
    HousekeepingRule, code="CF001", severity=Severity.WARNING, confidence=Confidence.EXACT, since="0.1.0"
):
    """An ignore hides nothing.

    ## Why
    The rule that it names ran on this model and found nothing at the layers that it names, or that its line makes.
    The model was fixed, or the layers were renamed; left in place, the ignore would hide the next finding that is
    meant.

    ## Instead
    Delete the ignore, or correct its layers.

    ## When not
    An ignore whose rule did not run, because it was not selected or needs run time checks, is not reported,
    and one that names models by a wildcard only when the run held every model that the wildcard fits, and it hides
    nothing in any of them: it is reported once, at the first of these models. A comment in code is reported only
    where its line made layers, or has no code, and the run held all `[[definitions]]` of the configuration.

    ## References
    - ruff, unused-noqa (RUF100).
    """


class MalformedIgnore(
    HousekeepingRule, code="CF002", severity=Severity.WARNING, confidence=Confidence.EXACT, since="0.1.0"
):
    """An ignore gives no reason, or names a rule that does not exist, and is not honored.

    ## Why
    An ignore travels with the model, or with the code that defines it, to people who did not write it. Without a
    reason nobody can tell whether it still holds.

    ## Instead
    Write the value of the model's `cnnlint.ignore.CODE` as the layers, a colon, the reason and, if it is to
    end, a date: `fc1, head/*: trained before the rule existed (until 2027-01)`. In code, write
    `# cnnlint: ignore[FC001, BN002] reason`, with a date or without.

    ## References
    - kube-linter, whose ignore annotations hold the reason.
    """


class ExpiredIgnore(
    HousekeepingRule, code="CF003", severity=Severity.WARNING, confidence=Confidence.EXACT, since="0.1.0"
):
    """An ignore has expired and is no longer honored.

    ## Why
    It was given a date so that somebody looks again, and that date is past.

    ## Instead
    Fix what it hid, or give it a new reason and a new date.

    ## References
    - trivy, whose ignore file holds expiry dates.
    """


class CrashedRule(HousekeepingRule, code="CF004", severity=Severity.ERROR, confidence=Confidence.EXACT, since="0.1.0"):
    """A rule could not finish on this model.

    ## Why
    What the rule would have found is unknown, so the run must not pass as if it had found nothing. The other
    rules have run, and their findings stand.

    ## Instead
    Report it to the rule's author with the model's text form; until it is fixed, leave the rule out with
    `--ignore CODE`.

    ## References
    - cnnlint, exit codes: a gate that passes when the measurement failed is worse than none.
    """


class RunNotFinished(
    HousekeepingRule, code=UNFINISHED, severity=Severity.ERROR, confidence=Confidence.EXACT, since="0.1.0"
):
    """The model did not run to completion: a time or memory limit was reached, or the process that ran it ended.

    ## Why
    Models are run in a process of their own, so that one that loops, takes all memory or crashes onnxruntime costs
    its own checks and nothing else. What these would have found is unknown, so the exit code is 2, as for a model that
    cannot be read, with `--exit-zero` too. The findings that need no run stand.

    ## Instead
    Read the cause. Where the limit was too low for this machine, raise it with `--run-timeout SECONDS` or
    `--run-memory BYTES`; where the model takes large inputs, give smaller ones with `--input`; or leave the run out
    with `--static`. If onnxruntime crashes, that is a bug in onnxruntime: reduce the model and report it.

    ## When not
    Nothing hides it: neither an ignore in the configuration nor what the model says about itself, for a gate that
    passes when the measurement failed is worse than none.

    ## References
    - onnxruntime, https://github.com/microsoft/onnxruntime/issues
    """
