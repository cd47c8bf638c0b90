"""Verify a rewrite: run the changed parts of the original and the rewritten model, and compare them."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from cnnlint.errors import RuntimeCheckError
from cnnlint.results import Verification
from cnnlint.rewrite.weights import contiguous, rearranged_weights
from cnnlint.runtime.nodes import used_names
from cnnlint.runtime.program import Program
from cnnlint.runtime.session import Session
from cnnlint.verification.changed import ChangedRegion, changed_region, part
from cnnlint.verification.error import Error, error
from cnnlint.verification.regions import bound
from cnnlint.verification.rounding import RATIO, cap, perturbed
from cnnlint.worker.limits import processors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import onnx
    from numpy.typing import NDArray
    from onnx import NodeProto

    from cnnlint.runtime.probe import Probe

    Values = Mapping[str, NDArray[Any]]

RUNS = 2
"""Runs per rewrite: one with seeded inputs of the model, one with the values at the border shuffled."""

PERTURBATIONS = 2
"""Runs of the original's part with perturbed values, to measure what rounding does there."""

BLOCK = 32 << 20
"""Bytes of a transposed kernel in memory at a time; allocating more costs more than the copy itself."""


def verify_rewrite(probe: Probe, rewritten: onnx.ModelProto) -> Verification:
    """Compare the model of `probe` with `rewritten` on seeded inputs, with graph optimization off.

    Outputs are compared, and the values before each final softmax, since the probabilities of an untrained network
    are all nearly the same. Only the parts that differ are run: first on the values of the model's seeded run, then
    on the same values in seeded random order.

    Raises:
        RuntimeCheckError: The rewritten model lacks a tensor to compare, one of the models does not run, or an expected
            value is not finite.
    """
    original = probe.program.proto()
    changed = changed_region(original, rewritten, (tail.logits for tail in probe.tails))
    before, after = (TrialPart(model, changed, probe.program) for model in (original, rewritten))
    probe.watch((*changed.border, *changed.compared))
    first = probe.run()
    known = {**first.feeds, **first.values}
    border = {name: known[name] for name in changed.border}
    found = list[tuple[str, Error, float]]()
    floor, most = 0.0, cap("float32")
    if changed.compared:
        inputs = [border, *(_shuffled(border, probe.seed + run) for run in range(1, RUNS))]
        moved = [perturbed(border, probe.seed + run) for run in range(PERTURBATIONS)]
        made = before.run([*inputs[1:], *moved])
        expected = [{name: known[name] for name in changed.compared}, *made[: RUNS - 1]]
        responses = {
            name: max(error(expected[0][name], again[name]).relative for again in made[RUNS - 1 :])
            for name in changed.compared
        }
        floor = max(responses.values())
        given = sum(prod(value.shape[1:]) for value in border.values())
        for left, right in zip(expected, after.run(inputs), strict=True):
            for name, value in right.items():
                terms = given / max(prod(value.shape[1:]), 1)
                apart = _difference(name, left[name], value)
                found.append((name, apart, bound(responses[name], value.dtype.name, terms)))
                most = cap(value.dtype.name)
    failed = tuple(dict.fromkeys(name for name, apart, allowed in found if apart.relative > allowed))
    worst = max((apart for _, apart, _ in found), default=Error(0.0, 0.0))
    return Verification(
        equivalent=not failed,
        max_abs_error=max((apart.absolute for _, apart, _ in found), default=0.0),
        max_rel_error=worst.relative,
        tolerance=min((allowed for _, _, allowed in found), default=most),
        runs=RUNS,
        tensors=changed.compared,
        noise_floor=floor,
        perturbations=PERTURBATIONS,
        ratio=RATIO,
        cap=most,
        regions=len(changed.compared),
        failed=failed,
    )


def _difference(name: str, expected: NDArray[Any], actual: NDArray[Any]) -> Error:
    """Return the difference of two tensors.

    Raises:
        RuntimeCheckError: An expected value is not finite.
    """
    import numpy as np

    if expected.shape != actual.shape or expected.dtype != actual.dtype:
        return Error(float("inf"), float("inf"), "a different shape or type")
    if not np.isfinite(expected).all():
        raise RuntimeCheckError(f"{name} is not finite, so the rewrite cannot be verified")
    return error(expected, actual)


def _shuffled(border: Values, seed: int) -> dict[str, NDArray[Any]]:
    """Return `border` with its floating values in random order; integers are sizes and stay as they are."""
    import numpy as np

    rng = np.random.default_rng(seed)
    return {
        name: rng.permuted(value.reshape(-1)).reshape(value.shape) if value.dtype.kind == "f" else value
        for name, value in border.items()
    }


class BlockedConv(Struct, frozen=True, eq=False):
    """A convolution whose kernel is a transposed weight, run on one block of filters at a time.

    Attributes:
        node: The Conv.
        kernel: A view of the file: filters, channels, spatial extents.
    """

    node: NodeProto
    kernel: NDArray[Any]

    @property
    def filters(self) -> int:
        """Filters in a block."""
        return max(1, BLOCK * self.kernel.shape[0] // self.kernel.nbytes)


class TrialPart:
    """The changed part of one model.

    Args:
        model: The whole model, original or rewritten.
        region: What changed.
        program: The original, whose file holds the weights.
    """

    def __init__(self, model: onnx.ModelProto, region: ChangedRegion, program: Program) -> None:
        self._model = part(model, region.border, region.compared)
        self._region = region
        self._program = program
        self._blocked: list[BlockedConv] | None = None
        self._sessions: dict[tuple[str, ...], Session] = {}

    def run(self, border: Sequence[Values]) -> list[dict[str, NDArray[Any]]]:
        """Return the compared tensors for each set of border values.

        Raises:
            SessionError: onnxruntime cannot run the part.
        """
        known = [dict(values) for values in border]
        for conv in self._convolutions():
            source, bias = conv.node.input[0], tuple(conv.node.input[2:])
            for values in known:
                values.update(self._make((source, *bias), values))
            for values, made in zip(known, self._in_blocks(conv, known), strict=True):
                values[conv.node.output[0]] = made
        made = [self._make(self._region.compared, values) for values in known]
        self._sessions.clear()  # they map the weights
        return made

    def _convolutions(self) -> list[BlockedConv]:
        if self._blocked is None:
            views = rearranged_weights(self._model, self._program.record.graph)
            self._blocked = [
                BlockedConv(node, views[node.input[1]])
                for node in self._model.graph.node
                if node.op_type == "Conv"
                and node.input[1] in views
                and views[node.input[1]].nbytes > BLOCK // 8
                and not views[node.input[1]].flags.c_contiguous
                and all(attribute.i == 1 for attribute in node.attribute if attribute.name == "group")
            ]
        return self._blocked

    def _make(self, names: tuple[str, ...], known: Values) -> dict[str, NDArray[Any]]:
        """Compute the tensors `names` from known values."""
        weights = self._program.record.graph.initializers
        result = {name: known[name] for name in names if name in known}
        for name in names:
            storage = weights[name].storage if name in weights else None
            if name not in result and storage is not None:
                result[name] = storage.read()
        missing = tuple(name for name in names if name not in result)
        if missing:
            session = self._sessions.get(missing)
            if session is None:
                model = part(self._model, known, missing)
                session = self._sessions[missing] = Session(_declared(model, known, self._program), missing)
            result.update(session.run({name: known[name] for name in session.inputs}))
        return result

    def _in_blocks(self, conv: BlockedConv, known: list[dict[str, NDArray[Any]]]) -> list[NDArray[Any]]:
        """Run the convolution on each set of inputs, one block of filters at a time."""
        import numpy as np

        names = [name for name in conv.node.input if name]
        session = Session(_alone(conv.node, known[0], conv.kernel, self._program), tuple(conv.node.output))
        blocks: list[list[NDArray[Any]]] = [[] for _ in known]
        space = np.empty((conv.filters, *conv.kernel.shape[1:]), conv.kernel.dtype)
        for start in range(0, conv.kernel.shape[0], conv.filters):
            view = conv.kernel[start : start + conv.filters]
            kernel = contiguous(view, threads=processors(), out=space[: len(view)])
            for values, made in zip(known, blocks, strict=True):
                feeds = {names[0]: values[names[0]], names[1]: kernel}
                feeds |= {name: values[name][start : start + conv.filters] for name in names[2:]}
                made.extend(session.run(feeds).values())
        return [np.concatenate(made, axis=1) for made in blocks]


def _alone(node: NodeProto, values: Values, kernel: NDArray[Any], program: Program) -> Program:
    """Return a model of a single Conv with its kernel and bias as inputs."""
    import onnx

    model = onnx.ModelProto(ir_version=8)
    original = program.proto()
    model.opset_import.extend(original.opset_import)
    model.graph.name = "block"
    model.graph.node.append(node)
    model.graph.output.append(onnx.ValueInfoProto(name=node.output[0]))
    feeds = {name: kernel if place == 1 else values[name] for place, name in enumerate(node.input) if name}
    return _declared(model, feeds, program)


def _declared(model: onnx.ModelProto, feeds: Values, program: Program) -> Program:
    """Declare as inputs those of `feeds` that nodes of `model` read; shapes are left open."""
    from onnx import helper

    used = {name for node in model.graph.node for name in used_names(node)}
    for name, value in feeds.items():
        if name in used:
            kind = helper.np_dtype_to_tensor_dtype(value.dtype)
            model.graph.input.append(helper.make_tensor_value_info(name, kind, None))
    return Program.from_proto(model, program.folder)
