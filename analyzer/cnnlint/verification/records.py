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

    @property
    def exit_code(self) -> int:
        """0 if the models are equal up to rounding, else 1."""
        return 0 if self.equal else 1


class CropDistance(Struct, frozen=True, kw_only=True):
    """How far a map of scores is from the network on crops of the image: information, which decides nothing.

    Attributes:
        cells: Positions that were compared.
        equal: Those that are equal up to rounding.
        least: The least relative difference of a position's scores.
        most: The largest.
    """

    cells: int
    equal: int
    least: float
    most: float


class AtSize(Struct, frozen=True, kw_only=True):
    """A network that takes images of any size on images of one size.

    Attributes:
        image: Their extents.
        inputs: How they were generated.
        outputs: The shape of each output.
        windows: Positions of the dense head, along each axis; () without one.
        equal: Whether it computes there, up to rounding, what the original's dense layers do at each position.
        max_rel_error: The largest relative error of outputs and of the scores; None if shapes differ or without a head.
        tolerance: The largest accepted one.
        noise_floor: How much rounding alone changes the reference.
        crops: The distance to the original on crops; None if it was not measured.
    """

    image: tuple[int, ...]
    inputs: tuple[str, ...] = ()
    outputs: tuple[tuple[str, tuple[int, ...]], ...] = ()
    windows: tuple[int, ...] = ()
    equal: bool
    max_rel_error: float | None = None
    tolerance: float | None = None
    noise_floor: float | None = None
    crops: CropDistance | None = None
