"""Measures a rewritten model and holds it against the original, under onnxruntime itself.

python -m benchmarks.judging ORIGINAL REWRITTEN

prints JSON. The errors are measured here and not by cnnlint's verifier, which is a contender.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

import cnnlint

SEEDS = (0, 1)
SIDE = 64
"""Extent of image axes that the file leaves open."""

PATIENCE = 0.4
"""Seconds of running, for each latency."""

BEYOND, LEAST = 100.0, 1e-5
"""A model is broken beyond so many times its noise floor, which counts as so much at least (of the largest output)."""

KINDS = {"float": np.float32, "double": np.float64, "float16": np.float16}

Fed = dict[str, NDArray[Any]]


def judge(original: str, rewritten: str) -> dict[str, Any]:
    """Return what the rewritten model is, and why it is broken, "" if it is not."""
    facts = described(rewritten)
    try:
        before, after = (session(path, optimize=False) for path in (original, rewritten))
        optimized = session(rewritten, optimize=True)
        if problem := _other_interface(before, after):
            return {**facts, "broken": problem}
        error, floor = difference(before, (after, optimized))
        feed = inputs(before, SEEDS[0])
        facts |= {"error": error, "floor": floor}
        facts |= {"latency_off": latency(after, feed), "latency_on": latency(optimized, feed)}
    except Exception as problem:  # whatever it is, the model cannot be used
        return {**facts, "broken": f"{type(problem).__name__}: {str(problem).splitlines()[0][:150]}"}
    bound = max(BEYOND * floor, LEAST)
    return {**facts, "broken": "" if error <= bound else f"its outputs differ by {error:.1e}"}


def described(path: str) -> dict[str, Any]:
    """Return nodes, bytes, parameters and MACs."""
    model = onnx.load(path, load_external_data=False)
    files = {
        entry.value for tensor in model.graph.initializer for entry in tensor.external_data if entry.key == "location"
    }
    folder = os.path.dirname(path)
    facts: dict[str, Any] = {
        "nodes": _nodes(model.graph) + sum(len(function.node) for function in model.functions),
        "bytes": os.path.getsize(path) + sum(os.path.getsize(os.path.join(folder, each)) for each in files),
    }
    try:
        summary = cnnlint.summarize(path).models[0]
        facts |= {"parameters": summary.parameters, "macs": summary.macs}
    except cnnlint.CnnlintError:
        facts |= {"parameters": None, "macs": None}
    return facts


def _nodes(graph: onnx.GraphProto) -> int:
    inner = [each.g for node in graph.node for each in node.attribute if each.HasField("g")]
    return len(graph.node) + sum(map(_nodes, inner))


def session(path: str, *, optimize: bool) -> onnxruntime.InferenceSession:
    """Return a session of one thread."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimize else levels.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _other_interface(before: onnxruntime.InferenceSession, after: onnxruntime.InferenceSession) -> str:
    for ports, what in ((lambda side: side.get_inputs(), "inputs"), (lambda side: side.get_outputs(), "outputs")):
        mine, theirs = ([(each.name, each.type) for each in ports(side)] for side in (before, after))
        if mine != theirs:
            return f"it has other {what}"
    return ""


def inputs(of: onnxruntime.InferenceSession, seed: int) -> Fed:
    """Return seeded inputs, standard normal where they are numbers."""
    rng = np.random.default_rng(seed)
    made: Fed = {}
    for port in of.get_inputs():
        shape = [dim if isinstance(dim, int) else SIDE if axis > 1 else 1 for axis, dim in enumerate(port.shape)]
        kind = KINDS.get(port.type.removeprefix("tensor(").removesuffix(")"), np.int64)
        made[port.name] = np.asarray(rng.standard_normal(shape)).astype(kind)
    return made


def difference(
    before: onnxruntime.InferenceSession, others: tuple[onnxruntime.InferenceSession, ...]
) -> tuple[float, float]:
    """Return the largest error of the first of `others`, and the noise floor, relative to an output's largest value.

    The floor is what the original differs by if its inputs change by one rounding.
    """
    error = floor = 0.0
    for seed in SEEDS:
        feed = inputs(before, seed)
        wanted = before.run(None, feed)
        error = max(error, _apart(wanted, others[0].run(None, feed)))
        rng = np.random.default_rng(seed + 100)
        moved = {name: _moved(values, rng) for name, values in feed.items()}
        floor = max(floor, _apart(wanted, before.run(None, moved)))
    return error, floor


def _moved(values: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    if values.dtype.kind != "f":
        return values
    return (values * (1 + rng.choice((-1, 1), values.shape) * np.finfo(values.dtype).eps / 2)).astype(values.dtype)


def _apart(wanted: list[Any], given: list[Any]) -> float:
    return max(
        (_distance(np.asarray(one), np.asarray(other)) for one, other in zip(wanted, given, strict=True)), default=0
    )


def _distance(one: NDArray[Any], other: NDArray[Any]) -> float:
    if one.shape != other.shape or not np.array_equal(np.isfinite(one), np.isfinite(other)):
        return float("inf")
    sound = np.isfinite(one)
    if not sound.any():
        return 0.0
    mine, theirs = one[sound].astype(np.float64), other[sound].astype(np.float64)
    return float(np.max(np.abs(mine - theirs))) / (float(np.max(np.abs(mine))) or 1.0)


def latency(of: onnxruntime.InferenceSession, feed: Fed) -> float:
    """Return the seconds of the quickest of many runs."""
    of.run(None, feed)
    best, until = float("inf"), time.perf_counter() + PATIENCE
    for _ in range(1000):
        begin = time.perf_counter()
        of.run(None, feed)
        best = min(best, time.perf_counter() - begin)
        if time.perf_counter() > until:
            break
    return best


if __name__ == "__main__":
    print(json.dumps(judge(*sys.argv[1:])))
