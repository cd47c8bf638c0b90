"""The records of a fix, which every format shares, and its report for the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from textwrap import wrap
from typing import TypeVar

from msgspec import Struct

from cnnlint.analysis.image_sizes import ImageSizes
from cnnlint.errors import __version__
from cnnlint.graph.tensor import Shape
from cnnlint.operations.compare import table, verdict
from cnnlint.operations.diff_report import DiffReport
from cnnlint.operations.diff_report import render as render_diff
from cnnlint.report.printable import printable, without_commands
from cnnlint.report.view import View
from cnnlint.results import SCHEMA
from cnnlint.rewrite.open_axes import OpenedHead
from cnnlint.runtime.inputs import shown_shape
from cnnlint.verification.records import AtSize, ComparisonReport

SHOWN = 3
"""Places of a rule's rewrites that are named unless all are asked for."""


class AppliedFix(Struct, frozen=True, kw_only=True):
    """A rewrite that was applied.

    Attributes:
        code: The rule's code.
        name: The rule's name.
        layers: The finding's layers, the main one first.
        nodes: How many nodes more the model has for it, before weights are worked out; mostly negative.
    """

    code: str
    name: str
    layers: tuple[str, ...]
    nodes: int = 0


class LeftOut(Struct, frozen=True, kw_only=True):
    """A rewrite that was not made.

    Attributes:
        code: The rule's code.
        name: The rule's name.
        layers: The finding's layers, the main one first.
        cause: Why, as a clause.
    """

    code: str
    name: str
    layers: tuple[str, ...]
    cause: str


class Size(Struct, frozen=True, kw_only=True):
    """How large a model is as stored.

    Attributes:
        nodes: Nodes of its graph.
        nbytes: Bytes of its files.
    """

    nodes: int
    nbytes: int


class AnySize(Struct, frozen=True, kw_only=True):
    """A model whose image axes were opened.

    Attributes:
        images: The inputs that are images.
        symbols: What their spatial axes are called now.
        extents: What they were.
        keeps_rank: Whether scores are averaged over positions, so that outputs keep their shapes.
        heads: The dense heads that became convolutions.
        outputs: The shape of each output in the file.
        sizes: The sizes that it takes; None if they cannot be told.
        checked: What was run at larger sizes.
        closing: The shape of each image at the present size, to be given for costs and budgets from now on.
    """

    images: tuple[str, ...]
    symbols: tuple[str, ...]
    extents: tuple[int, ...]
    keeps_rank: bool
    heads: tuple[OpenedHead, ...] = ()
    outputs: tuple[tuple[str, Shape | None], ...] = ()
    sizes: ImageSizes | None = None
    checked: tuple[AtSize, ...] = ()
    closing: dict[str, str] = {}

    @property
    def is_verified(self) -> bool:
        """Whether it was run at larger sizes and computes there what the original does at each window."""
        return bool(self.checked) and all(at.equal for at in self.checked)


Entry = TypeVar("Entry", AppliedFix, LeftOut)


class FixReport(Struct, frozen=True, kw_only=True):
    """A model after the rewrites of rules.

    Attributes:
        path: The model.
        output: The file to write; "" for a preview.
        written: Whether it was written.
        applied: The rewrites, in the order in which they were made.
        dropped: Rewrites that were left out because the model computes something else with them.
        obstacles: Rewrites that do not fit the model's nodes.
        before: The size of the model; None if nothing was rewritten.
        after: The size of the rewritten model.
        parity: The models compared as they are stored, layer by layer and end to end.
        diff: The difference between the two graphs.
        any_size: What was opened, if that was asked for; None otherwise.
        opset: The version of ONNX's operator set before and after; None if it stayed.
    """

    schema: int = SCHEMA
    cnnlint: str = __version__
    path: str
    output: str = ""
    written: bool = False
    applied: tuple[AppliedFix, ...] = ()
    dropped: tuple[LeftOut, ...] = ()
    obstacles: tuple[LeftOut, ...] = ()
    before: Size | None = None
    after: Size | None = None
    parity: ComparisonReport | None = None
    diff: DiffReport | None = None
    any_size: AnySize | None = None
    opset: tuple[int, int] | None = None

    @property
    def is_changed(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.applied) or self.any_size is not None or self.opset is not None

    @property
    def is_verified(self) -> bool:
        """Whether original and rewritten model were verified to be equal."""
        larger = self.any_size is None or self.any_size.is_verified
        return self.parity is not None and self.parity.equal and larger

    @property
    def exit_code(self) -> int:
        """0 if it was written or there is nothing to rewrite, 1 if a preview has something to, 2 if it was not done."""
        if self.written or not self.is_changed:
            return 0
        return 1 if self.is_verified and not self.output else 2


def render(report: FixReport, view: View, *, difference: bool) -> str:
    """Return what was rewritten and how it was verified; with `difference`, also the diff of the graphs."""
    text = without_commands("".join(f"{line}\n" for line in _lines(report, view)))
    if difference and report.diff is not None:
        text += "\n" + render_diff(report.diff, view)
    return text


def _lines(report: FixReport, view: View) -> Iterator[str]:
    path = view.paint(printable(report.path), "strong")
    if not report.is_changed:
        yield f"{path}: nothing to rewrite"
    else:
        target = f" → {view.paint(printable(report.output), 'strong')}" if report.output else ""
        state = f"  {view.paint('written', 'good')}" if report.written else ""
        yield f"{path}{target}{state}"
    if report.before is not None and report.after is not None:
        nodes, nbytes = (
            _change(getattr(report.before, name), getattr(report.after, name)) for name in ("nodes", "nbytes")
        )
        yield f"  nodes {nodes}, bytes {nbytes}"
    if report.opset is not None:
        yield f"  opset {report.opset[0]} → {report.opset[1]}, by onnx's version converter"
    for (code, name), group in _grouped(report.applied, lambda each: (each.code, each.name)):
        yield f"  rewrote {code} {name} at {_places(group, every=view.verbose)}"
    for state, some in (("left out", report.dropped), ("not rewritten", report.obstacles)):
        for (code, name, cause), group in _grouped(some, lambda each: (each.code, each.name, each.cause)):
            where = _places(group, every=view.verbose)
            yield f"  {view.paint(state, 'warning')}: {code} {name} at {where}: {printable(cause)}"
    if report.parity is None:
        return
    if report.any_size is not None:
        yield from _opened(report.any_size, view)
        yield f"  at {_by(report.any_size.extents)}, against the original:"
    yield from verdict(report.parity.verification, view)
    yield from (f"  {line}" for line in table(report.parity.outputs, view))
    if report.any_size is not None:
        for at in report.any_size.checked:
            yield from _at_size(at, report.any_size, view)
        yield from _notes(report.any_size)


def _opened(done: AnySize, view: View) -> Iterator[str]:
    """Yield what was opened, and the sizes that the model takes now."""
    yield f"  opened {' and '.join(done.symbols)} of {', '.join(map(printable, done.images))}"
    for head in done.heads:
        pairs = zip(head.dense, head.kernels, strict=True)
        kernels = ", ".join(f"{printable(name)} {_by(kernel)}" for name, kernel in pairs)
        averaged = "; their scores are averaged over all positions" if done.keeps_rank else ""
        yield from _indented(f"convolutions in place of dense layers: {kernels}{averaged}", view)
    for name, shape in done.outputs:
        yield f"  output {printable(name)}: {printable(shown_shape(shape or ()))}"
    sizes = done.sizes
    if sizes is None:
        yield from _indented("which sizes it takes besides those below cannot be told from its layers", view)
        return
    more = ""
    if 0 not in sizes.step and done.heads and not done.keeps_rank:
        more = f"; one position more for every {_by(tuple(dict.fromkeys(sizes.step)))} pixels"
    yield f"  smallest image: {_by(sizes.smallest)}{more}"
    if len(sizes.remainders) < sizes.period:
        rests = sorted({(now + more) % sizes.period for now in done.extents for more in sizes.remainders})
        allowed = f"multiples of {sizes.period}"
        if rests != [0]:
            present = f"the present ones plus {allowed}"
            allowed = f"{_listed(rests)} more than {allowed}" if len(rests) < SHOWN else present
        named = ", ".join(map(printable, sizes.frozen[:SHOWN]))
        named += f" and {len(sizes.frozen) - SHOWN:,} more layers" if len(sizes.frozen) > SHOWN else ""
        yield from _indented(
            f"use extents that are {allowed}: the file holds for {named} the amounts of padding that 'same' means at"
            f" {_by(done.extents)}, and at other sizes it means others",
            view,
        )


def _at_size(at: AtSize, done: AnySize, view: View) -> Iterator[str]:
    """Yield how the model compares at a larger size."""
    made = ", ".join(f"{printable(name)} {_by(shape)}" for name, shape in at.outputs)
    if not done.heads:
        yield from _indented(f"at {_by(at.image)} it runs and gives {made}; its layers are those of the original", view)
        return
    state = view.paint("verified" if at.equal else "differs", "good" if at.equal else "error")
    error = "shapes differ" if at.max_rel_error is None else f"largest error {at.max_rel_error:.2g} relative"
    window = _by(done.heads[0].extents)
    yield f"  at {_by(at.image)}, against the original's dense layers on each {window} window of its map:"
    yield f"{state}: {made}; {error} (tolerance {at.tolerance:.2g})"
    if (crops := at.crops) is not None:
        text = f"for information: of {crops.cells} positions {crops.equal} equal the original on a crop of the image"
        if crops.equal < crops.cells:
            text += f"; scores differ by {crops.least:.2g} to {crops.most:.2g}, since it pads where the image goes on"
        yield from (view.paint(line, "faint") for line in _indented(text, view))


def _indented(text: str, view: View) -> list[str]:
    return wrap(text, view.width, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)


def _notes(done: AnySize) -> Iterator[str]:
    options = " ".join(f"--input {name}={shape}" for name, shape in done.closing.items())
    yield f"  costs and budgets need a size from now on: {printable(options)}, or inputs in the configuration"


def _by(extents: Sequence[int]) -> str:
    return "×".join(f"{extent}" for extent in extents)


def _listed(numbers: Sequence[int]) -> str:
    *first, last = map(str, numbers)
    return f"{', '.join(first)} or {last}" if first else last


def _grouped(
    some: Iterable[Entry], key: Callable[[Entry], tuple[str, ...]]
) -> Iterable[tuple[tuple[str, ...], list[Entry]]]:
    groups = dict[tuple[str, ...], list[Entry]]()
    for each in some:
        groups.setdefault(key(each), []).append(each)
    return groups.items()


def _places(group: Sequence[AppliedFix | LeftOut], *, every: bool) -> str:
    places = [printable(" + ".join(each.layers)) for each in group if each.layers]
    if not places:
        return "the model"
    shown = places if every else places[:SHOWN]
    left = len(places) - len(shown)
    more = f" and {left:,} more place{'s' * (left > 1)}" if left else ""
    return f"{', '.join(shown)}{more}"


def _change(before: int, after: int) -> str:
    return f"{before:,} → {after:,} ({(after - before) / before:+.1%})" if before else f"{before:,} → {after:,}"
