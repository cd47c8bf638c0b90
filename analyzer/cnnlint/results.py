"""What rules find, and what a lint and a summary give: plain records for every report format and for Python."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from msgspec import Struct
from msgspec.structs import replace

from cnnlint.errors import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Self

try:  # hashlib has the same function, and loads OpenSSL on the way to it: 4 ms of a static lint's 100
    from _blake2 import blake2b
except ImportError:  # a Python without CPython's extension modules
    from hashlib import blake2b


class Severity(StrEnum):
    """How much a finding matters."""

    INFO = "info"
    """Worth knowing."""
    WARNING = "warning"
    """It costs something that can be named."""
    ERROR = "error"
    """The model is broken or over budget."""

    @property
    def rank(self) -> int:
        """0 for info to 2 for error."""
        return list(Severity).index(self)


class Confidence(StrEnum):
    """How sure a rule is."""

    EXACT = "exact"
    """It follows from the graph."""
    HEURISTIC = "heuristic"
    """It holds for most networks."""
    OPINION = "opinion"
    """Good people disagree; shown with --pedantic."""


class Savings(Struct, frozen=True, kw_only=True):
    """What following a suggestion saves."""

    parameters: int = 0
    macs: int = 0
    bytes: int = 0


def total(savings: Iterable[Savings | None]) -> Savings | None:
    """Return what is saved in all; None if nothing is known to be."""
    known = [each for each in savings if each is not None]
    if not known:
        return None
    return Savings(**{name: sum(getattr(each, name) for each in known) for name in Savings.__struct_fields__})


class Verification(Struct, frozen=True, kw_only=True):
    """What running two models side by side showed: the user's own, and its rewritten form, conversion or counterpart.

    Attributes:
        equivalent: Whether rounding explains every difference.
        max_abs_error: The largest difference of any compared value, end to end.
        max_rel_error: The largest difference relative to the largest magnitude of its tensor.
        tolerance: What `max_rel_error` may be: `ratio` × `noise_floor`, and at most `cap`.
        runs: How many seeded inputs were run through both models.
        tensors: Names of the compared tensors.
        noise_floor: What rounding alone does to these tensors: the largest change of the first model, relative as
            above, when its input is perturbed by one rounding, or onnxruntime optimizes it.
        perturbations: How many perturbed inputs were tried.
        optimizations: Whether onnxruntime's optimizations were tried as well.
        ratio: How many times `noise_floor` a difference may be.
        cap: The relative difference that is never taken for rounding.
        regions: How many parts were held against their own rounding bounds, on the first model's values.
        failed: The parts that rounding does not explain.
        by_region: Whether the parts decide alone, because end to end the network turns rounding into more than `cap`,
            or that of the parts adds up to more than `tolerance`.
    """

    equivalent: bool
    max_abs_error: float
    max_rel_error: float
    tolerance: float
    runs: int
    tensors: tuple[str, ...]
    noise_floor: float = 0.0
    perturbations: int = 0
    optimizations: bool = False
    ratio: float = 0.0
    cap: float = 0.0
    regions: int = 0
    failed: tuple[str, ...] = ()
    by_region: bool = False

    @property
    def label(self) -> str:
        """The verdict in all commands' words."""
        if not self.equivalent:
            return "not verified"
        return "verified by region" if self.by_region else "verified"

    @property
    def words(self) -> str:
        """What the verdict rests on, as clauses."""
        error = f"largest error {self.max_abs_error:.2g} absolute, {self.max_rel_error:.2g} relative"
        regions = f"{self.regions:,} region{'s' if self.regions != 1 else ''}"
        bounds = "its rounding bound" if self.regions == 1 else "their rounding bounds"
        tensors = f"{len(self.tensors)} tensor{'s' if len(self.tensors) != 1 else ''}"
        runs = f"{self.runs} seeded run{'s' if self.runs != 1 else ''}"
        if self.failed:
            named = ", ".join(self.failed[:3]) + (f" and {len(self.failed) - 3} more" if len(self.failed) > 3 else "")
            return f"{error}; of {regions} rounding does not explain {named}"
        if self.by_region and self.max_rel_error <= self.cap:
            return f"{regions} within {bounds}, which add up to the {error}"
        if self.by_region:
            return (
                f"{regions} within {bounds}; end to end this network turns rounding into"
                f" {self.noise_floor:.2g}, and the {error}"
            )
        inside = f"; {regions} within {bounds}" if self.regions else ""
        return f"{error} (tolerance {self.tolerance:.2g}) over {runs}, {tensors} compared{inside}"

    @property
    def noise(self) -> str:
        """What rounding alone was seen to do, as a sentence; "" if that was not measured."""
        if not self.perturbations:
            return ""
        times = "a perturbation" if self.perturbations == 1 else f"the largest of {self.perturbations} perturbations"
        also = ", and onnxruntime's optimizations" if self.optimizations else ""
        return (
            f"rounding alone: {self.noise_floor:.2g} ({times} of the input by one rounding{also});"
            f" {self.ratio:g} times that is allowed, at most {self.cap:.2g}"
        )


class Advice(Struct, frozen=True, kw_only=True):
    """A suggestion, as a sentence and as code for those who write code.

    Attributes:
        text: What to do, framework aside.
        keras: The same as Keras code; "" if there is none to show.
        pytorch: The same as PyTorch code; "" if there is none to show.
    """

    text: str
    keras: str = ""
    pytorch: str = ""

    def for_framework(self, framework: str) -> str:
        """Return the text and, on lines of their own, the code of "keras" or "pytorch" if there is any."""
        code = {"keras": self.keras, "pytorch": self.pytorch}.get(framework, "")
        return f"{self.text}:\n{code}" if code else self.text


class Frame(Struct, frozen=True, kw_only=True):
    """A line of the user's code on the way to a layer.

    Attributes:
        file: Its path, relative to the working directory if it lies below it.
        line: Counted from 1.
        function: The qualified name of the function that the line stands in; "<module>" outside of any.
        text: The line.
        begin: The character at which the call begins in the line.
        end: The character before which it ends there; 0 where nobody knows.
    """

    file: str
    line: int
    function: str
    text: str
    begin: int = 0
    end: int = 0

    @property
    def where(self) -> str:
        """The file and the line: "train.py:42"."""
        return f"{self.file}:{self.line}"


class Place(Struct, frozen=True, kw_only=True):
    """One place of a network at which a rule found something.

    Attributes:
        layers: Names of the layers there, the one meant first; () for the whole model.
        message: What is wrong at this place alone, with its numbers.
        evidence: The numbers of this place by name.
        source: The line of the user's code that defines them, "train.py:42"; None where that is not known.
        identity: The same for the same place after numbers, and names that tools generate, have changed.
        frames: That line, and the lines that called it, from the innermost to the definition; () if not known.
    """

    layers: tuple[str, ...]
    message: str
    evidence: dict[str, int | float]
    source: str | None = None
    identity: str = ""
    frames: tuple[Frame, ...] = ()


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that a rule found, at one place of the network or at several.

    Attributes:
        code: The rule's code.
        name: The rule's name.
        severity: As the rule or the configuration has it.
        confidence: The rule's.
        layers: Names of the layers of all places, the one meant first; () for the whole model.
        message: One sentence with the numbers in it.
        evidence: The numbers by name, in all places together.
        suggestion: What to do, in the user's framework; "" if nothing need be done.
        savings: What doing it saves, in all places together.
        verification: For a rewrite that onnxruntime has tried on the model.
        fingerprint: The same for the same finding after numbers have changed: made of the model's path and the rule,
            and where each place is a finding of its own, of the identity of that place.
        places: Where it was found, in the order of the graph.
        fixable: Whether `cnnlint fix` has a rewrite for it.
    """

    code: str
    name: str
    severity: Severity
    confidence: Confidence
    layers: tuple[str, ...]
    message: str
    evidence: dict[str, int | float]
    suggestion: str = ""
    savings: Savings | None = None
    verification: Verification | None = None
    fingerprint: str = ""
    places: tuple[Place, ...] = ()
    fixable: bool = False


def added_up(places: Sequence[Finding]) -> dict[str, int]:
    """Return the sums of the numbers that all of several findings have."""
    names = [name for name in places[0].evidence if all(name in place.evidence for place in places)]
    return {name: int(sum(place.evidence[name] for place in places)) for name in names}


class NearMiss(Struct, frozen=True):
    """Why a rule stayed silent about layers that its pattern fits."""

    layers: tuple[str, ...]
    reason: str


def digest(text: str, *, size: int) -> str:
    """Return `size` bytes, in hexadecimal, that stand for `text`, which may come from a path and be no Unicode."""
    return blake2b(text.encode("utf-8", "backslashreplace"), digest_size=size).hexdigest()


SCHEMA = 2
"""Version of the JSON that these records become."""

UNFINISHED = "RT006"
"""The rule that says that a model did not run to completion."""

FailOn = Literal["info", "warning", "error", "never"]
"""The severity from which a finding fails the run."""


MinSeverity = Literal["info", "warning", "error"]
"""The severity from which a finding is shown."""

Per = Literal["sample", "run"]
"""What multiply-accumulates and activations are counted for."""


class BudgetResult(Struct, frozen=True, kw_only=True):
    """One budget held against one model.

    Attributes:
        quantity: What is measured, a field of `Budget`: "params", "weight_bytes".
        measured: None where it is unknown, which fails.
        limit: The most that is allowed, in the quantity's own unit (a share is 0 to 1).
        margin: limit − measured; negative when over.
        passed: Whether it holds.
        reason: Why the measurement is unknown; "" if it is known.
        message: What the configuration says about this budget; "" if nothing.
    """

    quantity: str
    measured: int | float | None
    limit: int | float
    margin: int | float | None
    passed: bool
    reason: str = ""
    message: str = ""


class Site(Struct, frozen=True, kw_only=True):
    """A layer that a finding is about, or a neighbor of one, as reports draw it.

    Attributes:
        position: Its place in the order of the graph.
        kind: "Conv", "Dense", ...
        op: What the source calls it: "Gemm", "MatMul + Add", "Conv2D".
        label: The kind and the settings that matter: "Conv 3×3 /2".
        output_shape: Channels first, without the batch; None where unknown (the whole, or an extent).
        parameters: Weight elements that the layer holds; None if unknown.
        before: Names of the layers that feed it.
        after: Names of the layers that it feeds.
    """

    position: int
    kind: str
    op: str
    label: str
    output_shape: tuple[int | None, ...] | None
    parameters: int | None
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


class ModelReport(Struct, frozen=True, kw_only=True):
    """The lint of one model.

    Attributes:
        path: As the user wrote it.
        format: "onnx", "keras", "h5", "savedmodel"; None if the file could not be read.
        parameters: Distinct weight elements; None if unknown.
        macs: Multiply-accumulates, for what `per` says; None if unknown.
        weight_bytes: Of all distinct weights; None if unknown.
        peak_activation_bytes: For what `per` says; None if unknown.
        findings: Most severe first, then in the order of the graph.
        error: Why the model could not be linted; None if it could.
        budgets: Every budget that applies, passing ones too.
        suppressed: How many places of findings were ignored by the model or the configuration.
        baselined: How many places of findings are in the baseline, and so left out of `findings`.
        notes: What was left out of the run and why, a sentence each.
        near_misses: Why rules stayed silent, by code; only filled on request.
        sites: The layers that findings are about and their neighbors, by name.
        fail_on: The severity from which a finding fails the run, as the configuration of this model has it.
        min_severity: The severity from which a finding is shown.
        hidden: How many findings are below that, and left out of `findings`.
        incomplete: What was to be done and could not be, a sentence each; what is reported holds all the same.
        per: What MACs and activations are counted for: one sample, or a run as the model declares it.
    """

    path: str
    format: str | None
    parameters: int | None = None
    macs: int | None = None
    weight_bytes: int | None = None
    peak_activation_bytes: int | None = None
    findings: tuple[Finding, ...] = ()
    error: str | None = None
    budgets: tuple[BudgetResult, ...] = ()
    suppressed: int = 0
    baselined: int = 0
    notes: tuple[str, ...] = ()
    near_misses: dict[str, tuple[NearMiss, ...]] = {}
    sites: dict[str, Site] = {}
    fail_on: FailOn = "error"
    min_severity: MinSeverity = "info"
    hidden: int = 0
    incomplete: tuple[str, ...] = ()
    per: Per = "sample"

    def __repr__(self) -> str:
        said = f"findings {len(self.findings)}" if self.error is None else f"error {self.error!r}"
        return f"<cnnlint.ModelReport: {self.path}, {said}>"

    def worst(self) -> Severity | None:
        """Return the highest severity of any finding; None without findings."""
        return max((finding.severity for finding in self.findings), key=lambda severity: severity.rank, default=None)

    def is_failing(self, finding: Finding) -> bool:
        """Return whether `finding` is at or above `fail_on`."""
        return self.fail_on != "never" and finding.severity.rank >= Severity(self.fail_on).rank

    def fails(self) -> bool:
        """Return whether a finding fails the run."""
        return any(map(self.is_failing, self.findings))

    def shown(self) -> ModelReport:
        """Return the report without the findings below `min_severity`, which are counted as `hidden`."""
        shown = tuple(each for each in self.findings if each.severity.rank >= Severity(self.min_severity).rank)
        return replace(self, findings=shown, hidden=self.hidden + len(self.findings) - len(shown))

    @property
    def is_finished(self) -> bool:
        """Whether the model could be read, and was run to the end if it was run."""
        return self.error is None and all(finding.code != UNFINISHED for finding in self.findings)


class LintReport(Struct, frozen=True, kw_only=True):
    """A run over one or more models."""

    schema: int = SCHEMA
    cnnlint: str = __version__
    models: tuple[ModelReport, ...] = ()

    @property
    def exit_code(self) -> int:
        """2 if a model could not be linted or not be run to its end, else 1 if a finding fails the run, else 0.

        It is 2 as well if something was left out of the lint.
        """
        if any(model.incomplete or not model.is_finished for model in self.models):
            return 2
        return 1 if any(model.fails() for model in self.models) else 0

    def shown(self) -> Self:
        """Return the report as it is to be shown, without the findings that are too mild for that."""
        return replace(self, models=tuple(model.shown() for model in self.models))


class LayerSummary(Struct, frozen=True, kw_only=True):
    """A row of a summary.

    Attributes:
        name: The layer's.
        kind: "Conv", "Dense", "Input", ...
        output_shape: Channels first, without the batch; None where unknown (the whole, or an extent).
        parameters: Weight elements that the layer holds; None if unknown.
        macs: Per sample; None if unknown.
        receptive_field: Input elements per spatial axis; None where there are none or they are unknown.
        formula: How the parameters are counted, "(16 × 2 × 2 × 3) + 16 = 208"; None without parameters.
        formula_words: What the factors are; None without parameters.
        mac_formula: How the MACs are counted; None without MACs.
        output_formulas: How each spatial extent follows, for convolution and pooling.
        activation_bytes: Of the outputs, per sample; None if unknown.
        shared_with: The layer that holds the same weights and is counted first; None if the weights are its own.
        merged_into: The layer that this one is part of (a padding in its convolution); None if it stands alone.
        alive_bytes: Of all activations that are alive while it runs, per sample; None if unknown.
        stage: The stage that it belongs to, one of those of the model; None for inputs and merged layers.
    """

    name: str
    kind: str
    output_shape: tuple[int | None, ...] | None
    parameters: int | None
    macs: int | None
    receptive_field: tuple[int, ...] | None
    formula: str | None = None
    formula_words: str | None = None
    mac_formula: str | None = None
    output_formulas: tuple[str, ...] = ()
    activation_bytes: int | None = None
    shared_with: str | None = None
    merged_into: str | None = None
    alive_bytes: int | None = None
    stage: str | None = None


class SupportedBy(Struct, frozen=True):
    """From which release on a runtime supports an ONNX file, by the runtime's documentation.

    Attributes:
        runtime: As `--for` has it: "onnxruntime".
        release: The oldest release that supports the file's IR version, opsets and types; None if none does.
        besides: Domains of operators that the documentation gives no versions of.
    """

    runtime: str
    release: str | None
    besides: tuple[str, ...] = ()


class StageSummary(Struct, frozen=True, kw_only=True):
    """The layers of a network that work at one size of the map.

    Attributes:
        name: That size, "56×56", or "56×56 up" in a decoder; "head" for vectors behind all maps, "vectors" for others.
        layers: How many.
        parameters: Of weights that no earlier stage has; None if unknown.
        macs: Per sample; None if unknown.
    """

    name: str
    layers: int
    parameters: int | None
    macs: int | None


class LayerLatency(Struct, frozen=True, kw_only=True):
    """How long onnxruntime takes for a layer, and for what it fused into it.

    Attributes:
        layer: The layer; of several that run as one, the one with most arithmetic; None for what belongs to none, as
            changes of layout do.
        layers: All layers that run as one with it, itself included, in the order of the network.
        ran_as: What onnxruntime runs for it, each operator once: "Conv + Add + Relu".
        nodes: How many nodes onnxruntime runs for it.
        milliseconds: Median over the runs.
        share: Of the time of all nodes, 0 to 1.
        macs: Of a run, all these layers together; None if unknown.
        gmacs_per_second: Billions of MACs in a second; None without MACs.
        slowdown: How many times slower that is than the median of the layers with MACs; None without MACs.
        slow: Whether it is at least twice as slow, takes 0.5% of the time or more, and twice as long as the cheapest
            node.
    """

    layer: str | None
    layers: tuple[str, ...]
    ran_as: tuple[str, ...]
    nodes: int
    milliseconds: float
    share: float
    macs: int | None
    gmacs_per_second: float | None = None
    slowdown: float | None = None
    slow: bool = False


class Latency(Struct, frozen=True, kw_only=True):
    """How long a model takes under onnxruntime on the machine that measured it, all optimizations on.

    Attributes:
        runtime: What ran it.
        version: Its version.
        provider: What computed it.
        processor: What the machine calls its processor.
        threads: That onnxruntime computed with.
        conditions: The inputs: "image 1×3×224×224 standard normal, seed 20150410".
        runs: How many were counted, without the profiler and with it.
        milliseconds: Of a run without the profiler, the median.
        fastest: Of these runs, in milliseconds.
        slowest: Of these runs, in milliseconds.
        profiled_milliseconds: Of a run with the profiler, which takes time itself, the median.
        nodes_milliseconds: Of all nodes in a run, by the profiler, the median.
        median_gmacs_per_second: Of the layers with MACs; None if there are none.
        layers: In the order of the network; what belongs to none of them comes last.
        absent: Layers for which nothing is run: constants, or what is the identity at inference.
    """

    runtime: str = "onnxruntime"
    version: str
    provider: str = "CPUExecutionProvider"
    processor: str
    threads: int
    conditions: str
    runs: int
    milliseconds: float
    fastest: float
    slowest: float
    profiled_milliseconds: float
    nodes_milliseconds: float
    median_gmacs_per_second: float | None
    layers: tuple[LayerLatency, ...]
    absent: tuple[str, ...] = ()


class ModelSummary(Struct, frozen=True, kw_only=True):
    """The summary of one model.

    Attributes:
        pattern: In the notation of the field: "INPUT -> [CONV -> RELU -> POOL]*3 -> GAP -> FC".
        head: What the dense layers of the head are as convolutions, as a sentence; None if there are none on a map.
        trainable_parameters: None where the format does not say.
        supported_by: What runtimes support an ONNX file, and from which release on.
        notes: Why something is unknown that the file should have said, a clause each.
        per: What MACs and activations are counted for: one sample, or a run as the model declares it.
        stages: Where on the way of the map what it costs stands, in the order of the network.
        latency: How long it takes; None if that was not asked for, or could not be measured.
    """

    path: str
    format: str | None
    pattern: str | None = None
    head: str | None = None
    parameters: int | None = None
    trainable_parameters: int | None = None
    macs: int | None = None
    weight_bytes: int | None = None
    peak_activation_bytes: int | None = None
    file_bytes: int | None = None
    supported_by: tuple[SupportedBy, ...] = ()
    layers: tuple[LayerSummary, ...] = ()
    error: str | None = None
    notes: tuple[str, ...] = ()
    per: Per = "sample"
    stages: tuple[StageSummary, ...] = ()
    latency: Latency | None = None

    def __repr__(self) -> str:
        said = f"layers {len(self.layers)}" if self.error is None else f"error {self.error!r}"
        return f"<cnnlint.ModelSummary: {self.path}, {said}>"


class SummaryReport(Struct, frozen=True, kw_only=True):
    """Summaries of one or more models."""

    schema: int = SCHEMA
    cnnlint: str = __version__
    models: tuple[ModelSummary, ...] = ()
