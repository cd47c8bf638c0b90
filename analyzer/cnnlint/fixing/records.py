"""What a fix gives: plain records, the same for every format."""

from __future__ import annotations

from msgspec import Struct

from cnnlint.comparison.diff_report import DiffReport
from cnnlint.errors import __version__
from cnnlint.results import SCHEMA, Proof
from cnnlint.verification.records import ComparisonReport


class AppliedFix(Struct, frozen=True, kw_only=True):
    """A rewrite that was applied.

    Attributes:
        code: The rule's code.
        name: The rule's name.
        layers: What it was about, the layer meant first.
    """

    code: str
    name: str
    layers: tuple[str, ...]


class FixReport(Struct, frozen=True, kw_only=True):
    """A model after the rewrites of rules.

    Attributes:
        path: The model.
        output: Where the rewritten one went; "" if none was asked for.
        written: Whether it was written.
        applied: The rewrites, in the order in which they were made.
        obstacles: Why other findings could not be rewritten, a sentence each.
        proof: Original and rewritten side by side where they differ, all rewrites together.
        parity: The same for the whole models as they would be stored, end to end.
        diff: What differs between the two graphs.
    """

    schema: int = SCHEMA
    cnnlint: str = __version__
    path: str
    output: str = ""
    written: bool = False
    applied: tuple[AppliedFix, ...] = ()
    obstacles: tuple[str, ...] = ()
    proof: Proof | None = None
    parity: ComparisonReport | None = None
    diff: DiffReport | None = None

    @property
    def is_proved(self) -> bool:
        """Whether both comparisons found original and rewritten equal."""
        return self.proof is not None and self.proof.equivalent and self.parity is not None and self.parity.equal
