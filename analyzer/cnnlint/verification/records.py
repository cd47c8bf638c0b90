"""The records of a comparison, which every report format shares."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from cnnlint.errors import __version__
from cnnlint.results import SCHEMA, Verification

Verdict = Literal["equal", "differs", "unmatched", "view", "unseen"]


class ValueRow(Struct, frozen=True, kw_only=True):
    """A tensor of one model and the tensor of the other that should be equal to it.

    Attributes:
        before: Its layer or output in the first model.
        after: Its layer or output in the second; "" if there is none.
        kind: The layer's kind; "Output" for an output.
        shape: Channels first, with the batch; () if nothing was compared.
        max_abs_error: None if nothing was compared, shapes differ, or values are finite in one model only.
        max_rel_error: Relative to the largest magnitude in the first model; None as above.
        own_error: The same when the second model's layer is given the first model's values, so earlier layers have
            no influence; None if not measured.
        bound_share: The error of its worst element then, as a share of its rounding bound; None as above.
        verdict: "unmatched" if only one model has it, "view" for a layer that only passes values on, "unseen" if
            the value is not available.
        note: Anything else to report.
    """

    before: str
    after: str
    kind: str
    shape: tuple[int, ...] = ()
    max_abs_error: float | None = None
    max_rel_error: float | None = None
    own_error: float | None = None
    bound_share: float | None = None
    verdict: Verdict
    note: str = ""


class Origin(Struct, frozen=True, kw_only=True):
    """A layer that differs although its inputs are equal.

    Attributes:
        before: The layer in the first model.
        after: The layer in the second.
        max_rel_error: Error of its output.
        causes: How the files differ about it, a clause each.
    """

    before: str
    after: str
    max_rel_error: float | None
    causes: tuple[str, ...] = ()


class ComparisonReport(Struct, frozen=True, kw_only=True):
    """Two models compared on the same inputs.

    Attributes:
        before: Path of the first model.
        after: Path of the second.
        equal: Whether rounding explains every difference: `equivalent` of `verification`.
        tolerance: Largest accepted `max_rel_error` of an output.
        conditions: How the inputs were generated.
        interface: How inputs and outputs differ, a sentence each; the only result if no common inputs exist.
        outputs: The outputs, and the values before their activation.
        layers: In the order of the first model, then those that only the second has.
        origins: Where differences begin.
        verification: How it was verified; None if no common inputs exist.
    """

    schema: int = SCHEMA
    cnnlint: str = __version__
    before: str
    after: str
    equal: bool
    tolerance: float
    conditions: tuple[str, ...] = ()
    interface: tuple[str, ...] = ()
    outputs: tuple[ValueRow, ...] = ()
    layers: tuple[ValueRow, ...] = ()
    origins: tuple[Origin, ...] = ()
    verification: Verification | None = None
