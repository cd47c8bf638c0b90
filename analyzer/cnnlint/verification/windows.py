"""Whether a network whose dense head became convolutions computes that head at each window of a larger map.

The reference is made of the original's own parts: its trunk, run on the larger image, and its dense layers, run on each
window of the trunk's map. That is exact up to rounding. The original on a crop of the image is something else: there
the trunk pads where the image goes on, so that is measured and judged nothing by.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import isinf
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from cnnlint.errors import RuntimeCheckError
from cnnlint.runtime.inputs import BATCH, KINDS, shown_shape
from cnnlint.runtime.program import Program
from cnnlint.runtime.session import Session, SessionError
from cnnlint.verification.changed import part
from cnnlint.verification.error import Error, error
from cnnlint.verification.feeding import agree, draw
from cnnlint.verification.records import AtSize, CropDistance
from cnnlint.verification.rounding import RATIO, cap, perturbed, unit

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

    from cnnlint.runtime.runner import OnnxRunner

    Array = NDArray[Any]

Layout = Literal["channels_first", "channels_last"]

MOST_CROPS = 64
"""Most crops that the original is run on; of more, every second or third along each axis is taken."""

FEW_CROPS = 9
"""The same for a costly network."""


class WindowedHead(Struct, frozen=True):
    """A dense head of the original, and what takes its place.

    Attributes:
        map: The original's tensor whose windows the head scores.
        map_layout: The order of that tensor's axes.
        extents: Of a window.
        scores: What both models call the scores.
        outputs: The outputs that are made of them.
        layout: The order of axes of scores and outputs of the other model; None if they are averaged over positions.
    """

    map: str
    map_layout: Layout
    extents: tuple[int, ...]
    scores: str
    outputs: tuple[str, ...]
    layout: Layout | None

    @property
    def compared(self) -> tuple[str, ...]:
        """The tensors that are compared: the scores too, since a softmax hides differences of logits."""
        return tuple(dict.fromkeys((self.scores, *self.outputs)))


class Images(Struct, frozen=True):
    """The images of a network.

    Attributes:
        axes: By input, the axes of its extents.
        extents: The present ones.
        step: Pixels from a window to the next, along each axis; 0 where unknown.
    """

    axes: Mapping[str, tuple[int, ...]]
    extents: tuple[int, ...]
    step: tuple[int, ...]


class Windows:
    """The original and the model that takes images of any size.

    Args:
        original: The model as it was.
        heads: Its heads.
        images: Its images.
        seed: Of the inputs.
        costly: Whether one run takes so long that few are made.
    """

    def __init__(
        self, original: Program, heads: Sequence[WindowedHead], images: Images, *, seed: int, costly: bool
    ) -> None:
        self._original = original
        self._heads = heads
        self._images = images
        self._seed = seed
        self._costly = costly
        self._proto = original.proto()
        self._types = {value.name: value.type.tensor_type.elem_type for value in self._proto.graph.input}

    def at(self, runner: OnnxRunner, opened: Program, size: tuple[int, ...]) -> AtSize:
        """Return how the opened model compares on images of this size.

        Args:
            runner: The opened model with its network at that size.
            opened: The same.
            size: The extents of the images.

        Raises:
            RuntimeCheckError: One of the models does not run on them.
        """
        feeds, problems = agree(runner, runner, batch=1 if self._costly else max(BATCH, len(KINDS)))
        if problems:
            raise RuntimeCheckError(problems[0])
        given = draw(feeds, self._seed)[0]
        wanted = tuple(dict.fromkeys(name for head in self._heads for name in head.compared))
        made = self._ran(Session(opened, wanted), given, size)
        outputs = [port.name for port in runner.outputs]
        shapes = tuple((name, tuple(made[name].shape)) for name in outputs if name in made)
        if not self._heads:
            made = self._ran(Session(opened, outputs), given, size)
            return AtSize(image=size, outputs=tuple((name, tuple(made[name].shape)) for name in outputs), equal=True)
        judge = [_Reference(self, head) for head in self._heads]
        trunk = Session(self._part(given, [head.map for head in self._heads]), [head.map for head in self._heads])
        maps = self._ran(trunk, given, size)
        expected = [each.values(maps[each.head.map], given) for each in judge]
        floor = max(unit("float64"), self._optimized(opened, given, made))
        for some in (self._ran(trunk, perturbed(given, self._seed), size), perturbed(maps, self._seed)):
            for each, values in zip(judge, expected, strict=True):
                moved = each.values(some[each.head.map], given)
                floor = max(floor, *(error(values[name], moved[name]).relative for name in values))
        dtype = maps[self._heads[0].map].dtype.name
        tolerance = min(cap(dtype), RATIO * floor)
        worst = max(
            error(values[name], each.arranged(made[name]))
            for each, values in zip(judge, expected, strict=True)
            for name in values
        )
        return AtSize(
            image=size,
            inputs=tuple(f"{feed.words()}, seed {self._seed}" for feed in feeds),
            outputs=shapes,
            windows=judge[0].positions,
            equal=worst.relative <= tolerance,
            max_rel_error=None if isinf(worst.relative) else worst.relative,
            tolerance=tolerance,
            noise_floor=floor,
            crops=self._crops(given, expected[0], judge[0], tolerance),
        )

    def _optimized(self, opened: Program, given: Mapping[str, Array], made: Mapping[str, Array]) -> float:
        """Return how much sums in another order change what the opened model gives."""
        names = list(made)
        again = Session(opened, names, optimize=True)
        values = again.run({name: given[name] for name in again.inputs})
        return max(error(made[name], values[name]).relative for name in names)

    def _crops(
        self, given: Mapping[str, Array], expected: Mapping[str, Array], judge: _Reference, tolerance: float
    ) -> CropDistance | None:
        """Return how far the scores of windows are from those of the original on crops of the image."""
        step, positions = self._images.step, judge.positions
        if judge.head.layout is None or 0 in step or len(step) != len(positions):
            return None
        most, stride = FEW_CROPS if self._costly else MOST_CROPS, 1
        while _cells(positions, stride) > most:
            stride += 1
        session = Session(self._original, [judge.head.scores])
        name, found = judge.head.scores, list[Error]()
        for cell in product(*(range(0, count, stride) for count in positions)):
            crop = {key: self._crop(key, value, cell) for key, value in given.items()}
            if any(crop[key].shape[axis] != extent for key in self._images.axes for axis, extent in self._sides(key)):
                continue  # the last windows see padding that was added
            alone = session.run(crop)[name]
            found.append(error(alone, expected[name][(slice(None), slice(None), *cell)]))
        if not found or any(isinf(each.relative) for each in found):
            return None
        return CropDistance(
            cells=len(found),
            equal=sum(each.relative <= tolerance for each in found),
            least=min(found).relative,
            most=max(found).relative,
        )

    def _sides(self, name: str) -> Iterator[tuple[int, int]]:
        yield from zip(self._images.axes[name], self._images.extents, strict=True)

    def _crop(self, name: str, value: Array, cell: Sequence[int]) -> Array:
        import numpy as np

        place = [slice(None)] * value.ndim
        for (axis, extent), index, step in (
            zip(self._sides(name), cell, self._images.step, strict=True) if name in self._images.axes else ()
        ):
            place[axis] = slice(index * step, index * step + extent)
        return np.ascontiguousarray(value[tuple(place)])

    def present(self, given: Mapping[str, Array]) -> dict[str, Array]:
        """Return images of the present size: nothing but shapes is read of them."""
        return {name: self._crop(name, value, (0,) * len(self._images.extents)) for name, value in given.items()}

    def _part(self, given: Mapping[str, Array], outputs: Sequence[str]) -> Program:
        return self.declared(part(self._proto, given, outputs), {name: self._types[name] for name in given})

    def head_part(self, head: WindowedHead, given: Mapping[str, Array], dtype: Any, *, start: str) -> Program:
        """Return the part of the original from the tensor `start` on; its other inputs say nothing but shapes."""
        from onnx import helper

        outputs = [name for name in head.compared if name != start]
        inside = part(self._proto, (start, *given), outputs)
        types = {name: self._types[name] for name in given}
        return self.declared(inside, {**types, start: helper.np_dtype_to_tensor_dtype(dtype)})

    def declared(self, model: onnx.ModelProto, inputs: Mapping[str, int]) -> Program:
        """Declare those of `inputs` that the model reads, of any shape."""
        from onnx import helper

        used = {name for node in model.graph.node for name in node.input}
        model.graph.input.extend(
            helper.make_tensor_value_info(name, kind, None) for name, kind in inputs.items() if name in used
        )
        return Program.from_proto(model, self._original.folder)

    def _ran(self, session: Session, given: Mapping[str, Array], size: Sequence[int]) -> dict[str, Array]:
        try:
            return session.run({name: given[name] for name in session.inputs})
        except SessionError as failure:
            raise RuntimeCheckError(
                f"on {shown_shape(size)} images onnxruntime cannot run it: {failure.cause}"
            ) from failure


class _Reference:
    """The original's dense layers on each window of a map."""

    def __init__(self, windows: Windows, head: WindowedHead) -> None:
        self.head = head
        self.positions: tuple[int, ...] = ()
        self._windows = windows
        self._sessions: dict[str, Session] = {}

    def values(self, seen: Array, given: Mapping[str, Array]) -> dict[str, Array]:
        """Return scores and outputs: as maps, channels first, or made of the mean of the scores."""
        import numpy as np

        rank = len(self.head.extents)
        first = 2 if self.head.map_layout == "channels_first" else 1
        self.positions = tuple(
            extent - kernel + 1
            for extent, kernel in zip(seen.shape[first : first + rank], self.head.extents, strict=True)
        )
        if min(self.positions) < 1:
            raise RuntimeCheckError(f"the map of {shown_shape(seen.shape)} is smaller than the head's window")
        found = list["Mapping[str, Array]"]()
        averaged = self.head.layout is None
        wanted = [self.head.scores] if averaged else self.head.compared
        for cell in product(*map(range, self.positions)):
            place = [slice(None)] * first + [
                slice(index, index + kernel) for index, kernel in zip(cell, self.head.extents, strict=True)
            ]
            found.append(self._run(self.head.map, seen[tuple(place)], given, wanted))
        if not averaged:
            stacked = {name: np.stack([each[name] for each in found], axis=-1) for name in wanted}
            return {name: value.reshape(*value.shape[:-1], *self.positions) for name, value in stacked.items()}
        mean = np.mean([each[self.head.scores] for each in found], axis=0, dtype=np.float64).astype(seen.dtype)
        rest = [name for name in self.head.outputs if name != self.head.scores]
        return {self.head.scores: mean, **(self._run(self.head.scores, mean, given, rest) if rest else {})}

    def arranged(self, value: Array) -> Array:
        """Return what the opened model made, its classes first."""
        import numpy as np

        return np.moveaxis(value, -1, 1) if self.head.layout == "channels_last" else value

    def _run(self, start: str, value: Array, given: Mapping[str, Array], wanted: Sequence[str]) -> dict[str, Array]:
        import numpy as np

        if start not in self._sessions:
            program = self._windows.head_part(self.head, given, value.dtype, start=start)
            self._sessions[start] = Session(program, wanted)
        session = self._sessions[start]
        known = {**self._windows.present(given), start: np.ascontiguousarray(value)}
        return session.run({name: known[name] for name in session.inputs})


def _cells(positions: Sequence[int], stride: int) -> int:
    count = 1
    for extent in positions:
        count *= -(-extent // stride)
    return count
