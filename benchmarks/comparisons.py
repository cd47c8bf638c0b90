"""What is compared with what, and the bounds that the figures are held to."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.process import Contender, Figures

Measured = Mapping[str, Figures]


class Bound(NamedTuple):
    """What a figure may be at most.

    Attributes:
        words: What is bounded.
        needs: The contenders whose figures it takes.
        value: The figure, from those of all contenders.
        most: The bound.
        unit: "×" for ratios, "MB" for memory.
    """

    words: str
    needs: tuple[str, ...]
    value: Callable[[Measured], float]
    most: float
    unit: str = "×"


class Comparison(NamedTuple):
    """Contenders that run in turns.

    Attributes:
        key: Selects it on the command line.
        title: Its heading.
        text: What is measured.
        reference: The contender whose time is 1 in the column of ratios.
    """

    key: str
    title: str
    text: str
    contenders: tuple[Contender, ...]
    reference: str
    bounds: tuple[Bound, ...] = ()


IMPORT, STATIC, FULL = "`import onnx`", "cnnlint --static", "cnnlint"

FULL_RUN = """\
import sys, numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
session.run(None, {i.name: numpy.zeros([d if isinstance(d, int) else 1 for d in i.shape], numpy.float32)
                   for i in session.get_inputs()})
"""
"""The least that a script does that runs a model once."""

SUMMARY = "import sys, keras; keras.saving.load_model(sys.argv[1]).summary()"
LOAD = "import sys, onnx; onnx.load(sys.argv[1])"


def python(name: str, code: str, *arguments: str) -> Contender:
    """Return a contender that is a line of Python."""
    return Contender(name, (sys.executable, "-c", code, *arguments))


def cnnlint(name: str, *arguments: str, times: int = 1) -> Contender:
    """Return cnnlint as its users start it; findings are no failure."""
    return Contender(name, (str(Path(sys.executable).with_name("cnnlint")), *arguments), (0, 1), times)


def ratio(subject: str, reference: str, most: float) -> Bound:
    """Bound the time of one contender by that of another."""
    return Bound(
        f"time of {subject} / time of {reference}",
        (subject, reference),
        lambda measured: measured[subject].wall / measured[reference].wall,
        most,
    )


def peak(subject: str, most: float) -> Bound:
    """Bound the peak memory of a contender, in MB."""
    return Bound(f"peak memory of {subject}", (subject,), lambda measured: measured[subject].peak, most, "MB")


def growth(start: str, few: tuple[str, int], many: tuple[str, int], most: float) -> Bound:
    """Bound how much the processor time per layer grows with their number, what a start takes left out.

    Args:
        start: The smallest model.
        few: A small model, and how many layers it has more than the smallest.
        many: A large one, and how many layers it has more than the smallest.
        most: The bound.
    """

    def value(measured: Measured) -> float:
        fixed = measured[start].cpu
        low, high = ((measured[name].cpu - fixed) / layers for name, layers in (few, many))
        return high / low

    words = f"processor time of each layer beyond {start}, {many[0]} / {few[0]}"
    return Bound(words, (start, few[0], many[0]), value, most)


def start_up() -> Comparison:
    """Compare commands that look at no model with Python itself and with libraries."""
    return Comparison(
        "start-up",
        "Start-up",
        "Commands that read no model, and what Python and libraries take to start.",
        (
            cnnlint("cnnlint --version", "--version"),
            cnnlint("cnnlint --help", "--help"),
            cnnlint("cnnlint rules", "rules"),
            cnnlint("cnnlint explain FC001", "explain", "FC001"),
            python("`pass`", "pass"),
            python("`import click`", "import click"),
            python("`import numpy`", "import numpy"),
            python(IMPORT, "import onnx"),
            python("`import onnxruntime`", "import onnxruntime"),
        ),
        IMPORT,
    )


def static(net: str, path: str) -> Comparison:
    """Compare a static lint with importing onnx, and with loading the file by it."""
    return Comparison(
        f"static-{net}",
        f"Static lint, {net}.onnx ({_size(path)})",
        "Every rule that needs no run. A lint is held to less than it takes to import the onnx package.",
        (cnnlint(STATIC, "--static", path), python(IMPORT, "import onnx"), python("`onnx.load`", LOAD, path)),
        IMPORT,
        (ratio(STATIC, IMPORT, 1.0), peak(STATIC, 60)),
    )


def external(path: str) -> Comparison:
    """Compare a static lint of much external data with importing onnx."""
    weights = _size(f"{path}.data")
    return Comparison(
        "static-external",
        f"Static lint, {weights} of external data",
        "A chain of 88 convolutions of 1,024 to 1,024 channels, whose weights lie in a second file.",
        (cnnlint(STATIC, "--static", path), python(IMPORT, "import onnx")),
        IMPORT,
        (ratio(STATIC, IMPORT, 1.0), peak(STATIC, 60)),
    )


def light(path: str) -> Comparison:
    """Compare a static lint of many nodes with importing onnx."""
    return Comparison(
        "static-light",
        "Static lint, light DenseNet121 (1,746 nodes)",
        "The model of the onnx package's own tests, with weights by ConstantOfShape and arithmetic spelled out.",
        (cnnlint(STATIC, "--static", path), python(IMPORT, "import onnx"), python("`onnx.load`", LOAD, path)),
        IMPORT,
        (ratio(STATIC, IMPORT, 1.5), peak(STATIC, 60)),
    )


def stripped(whole: str, path: str) -> Comparison:
    """Compare a static lint with that of the same graph without weights."""
    heavy, weightless = "cnnlint --static, with weights", "cnnlint --static, stripped"
    return Comparison(
        "static-stripped",
        f"Static lint, VGG16 with its weights ({_size(whole)}) and without ({_size(path)})",
        "The same graph, the values of all weights taken out of the file: what a lint costs does not depend on them.",
        (cnnlint(heavy, "--static", whole), cnnlint(weightless, "--static", path)),
        weightless,
        (ratio(heavy, weightless, 1.1),),
    )


BOUNDED = "VGG16"
"""The net whose full lint is held to a bound; on smaller ones the imports of both sides are most of their time."""


def full(net: str, path: str) -> Comparison:
    """Compare a lint with run time checks with running the model once."""
    once = "`InferenceSession` and one `run`"
    return Comparison(
        f"full-{net}",
        f"Lint with run time checks, {net}.onnx ({_size(path)})",
        "All rules, several runs under onnxruntime and the verification of rewrites, beside a script that loads the "
        "model into onnxruntime and runs it once on one sample.",
        (
            cnnlint(FULL, path),
            cnnlint("cnnlint --ignore FC002, which proves no rewrite", "--ignore", "FC002", path),
            python(once, FULL_RUN, path),
            python("`import onnxruntime`", "import onnxruntime"),
        ),
        once,
        (ratio(FULL, once, 0.6),) if net == BOUNDED else (),
    )


def keras(path: str) -> Comparison:
    """Compare a static lint of a Keras archive with a summary by Keras."""
    summary = "`keras.saving.load_model().summary()`"
    return Comparison(
        "keras",
        f"Static lint, VGG16.keras ({_size(path)})",
        "A lint of the archive, beside loading it with Keras and printing its summary.",
        (
            cnnlint(STATIC, "--static", path),
            cnnlint("cnnlint summary", "summary", path),
            python(summary, SUMMARY, path),
        ),
        summary,
        (ratio(STATIC, summary, 0.15),),
    )


VALUES, SUM = "cnnlint --select WT", "`numpy.sum` of the file"

SUM_CODE = "import sys, numpy; numpy.sum(numpy.memmap(sys.argv[1], numpy.uint8, 'r')[:{}].view(numpy.float32))"
"""Reads each byte once and adds up what it makes; of the first byte on, so that numpy may take them four by four."""


def values(path: str, kind: str) -> Comparison:
    """Compare the rules on values of weights with adding all bytes of the file up."""
    whole = Path(path).stat().st_size // 4 * 4

    def beyond_static(measured: Measured) -> float:
        return (measured[VALUES].wall - measured[STATIC].wall) / measured[SUM].wall

    return Comparison(
        f"values-{kind}",
        f"Values of weights, VGG16.{kind} ({_size(path)})",
        "The rules on values (WT), which read every weight once through a buffer of a megabyte, beside `numpy.sum` over"
        " the same bytes, mapped; what a static lint takes besides is subtracted.",
        (
            cnnlint(VALUES, "--isolated", "--select", "WT", path),
            cnnlint(STATIC, "--isolated", "--static", path),
            python(SUM, SUM_CODE.format(whole), path),
        ),
        SUM,
        (
            Bound(f"(time of {VALUES} − time of {STATIC}) / time of {SUM}", (VALUES, STATIC, SUM), beyond_static, 5),
            peak(VALUES, 100),
        ),
    )


SMALL = 4
"""Runs of a small model in each round, as what its layers take is little beside the start of the process."""


def chains(paths: Mapping[str, str]) -> Comparison:
    """Compare chains of more and more layers."""
    names = {int(layers): f"{int(layers):,} layers" for layers in paths}
    return Comparison(
        "chains",
        "Cost against size: chains",
        "Static lint of convolutions and ReLUs in turn.",
        tuple(
            cnnlint(names[int(layers)], "--static", path, times=SMALL if int(layers) <= 1_000 else 1)
            for layers, path in paths.items()
        ),
        names[100],
        (growth(names[100], (names[1_000], 900), (names[50_000], 49_900), 1.5),),
    )


def concats(paths: Mapping[str, str]) -> Comparison:
    """Compare nets of more and more branches."""
    names = {int(branches): f"{int(branches):,} branches" for branches in paths}
    return Comparison(
        "concats",
        "Cost against size: branches",
        "Static lint of a network whose branches, a convolution and a ReLU each, end in one Concat.",
        tuple(cnnlint(names[int(branches)], "--static", path, times=SMALL) for branches, path in paths.items()),
        names[20],
        (growth(names[20], (names[500], 960), (names[2_000], 3_960), 1.5),),
    )


def many(folder: str) -> Comparison:
    """Compare a lint of many small models by one process with that by two."""
    alone, two = "-j 1", "-j 2"
    kinds = {STATIC: ("--static",), FULL: ()}
    return Comparison(
        "many",
        f"{len(list(Path(folder).iterdir()))} small models",
        "Networks of 10 to 28 layers in one folder, linted by one process and by two. The peak is that of the largest "
        "process; each of two has its own.",
        tuple(
            cnnlint(f"{name} {jobs}", "--isolated", *options, *jobs.split(), folder)
            for name, options in kinds.items()
            for jobs in (alone, two)
        ),
        f"{STATIC} {alone}",
        tuple(ratio(f"{name} {two}", f"{name} {alone}", 0.67) for name in kinds),
    )


SAVED, COLD, MAKING = "a save while cnnlint --watch runs", "cnnlint net.py:make", "Keras makes the network"


def definition(folder: str) -> Comparison:
    """Compare what code costs from a save to its findings, in a process of its own and in one that is kept."""
    return Comparison(
        "definition",
        "From a save to findings, ResNet50 in Keras",
        "The code of a network is saved, run and linted: by a process that starts, TensorFlow included, and by one "
        "that is kept (`--watch`, an editor), up to what it says. Beside it the code alone. Processor time and peak "
        "of a save are those of what saves.",
        (
            cnnlint(COLD, "--isolated", f"{folder}/net.py:make"),
            Contender(SAVED, (sys.executable, str(Path(__file__).with_name("watched.py")), folder)),
            python(MAKING, "import sys; sys.path.insert(0, sys.argv[1]); import net; net.make()", folder),
        ),
        MAKING,
        (ratio(SAVED, MAKING, 0.75), ratio(COLD, MAKING, 1.5)),
    )


def beside_peers(net: str, path: str, contenders: list[Contender]) -> Comparison:
    """Compare cnnlint with what other tools do with the same file."""
    own = (cnnlint(STATIC, "--static", path), cnnlint("cnnlint summary", "summary", path), cnnlint(FULL, path))
    return Comparison(
        f"peers-{net}",
        f"Beside other tools, {net}.onnx ({_size(path)})",
        "Whole processes, each with its own start-up. The tools do different jobs: see their own pages.",
        (*own, python("`onnx.load`", LOAD, path), *contenders),
        STATIC,
    )


def all_of(models: Mapping[str, Any]) -> list[Comparison]:
    """Return every comparison but those with peers, from what `benchmarks.build` prints."""
    nets: Mapping[str, str] = models["onnx"]
    return [
        definition(models["code"]),
        start_up(),
        *(static(net, path) for net, path in nets.items()),
        external(models["external"]),
        light(models["light"]),
        stripped(nets["VGG16"], models["stripped"]),
        *(full(net, path) for net, path in nets.items()),
        values(nets["VGG16"], "onnx"),
        values(models["keras"]["VGG16"], "keras"),
        keras(models["keras"]["VGG16"]),
        chains(models["chains"]),
        concats(models["concats"]),
        many(models["many"]),
    ]


def _size(path: str) -> str:
    size = Path(path).stat().st_size
    if size >= 1e9:
        return f"{size / 1e9:.1f} GB"
    return f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size / 1e3:.0f} KB"
