"""What a rule is: identity, page, scope, options, behavior and examples in one class.

A scope is a class that rules derive from. It says what `check` is given, runs it over the network, and names what it
lacks: `PatternRule`, `LayerRule`, `ModelRule`, `FileRule` and `RuntimeRule` here, and whatever else derives from `Rule`
and overrides `run`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Generic,
    TypeVar,
    cast,
    dataclass_transform,
    get_args,
    get_origin,
)

import msgspec
from msgspec import Meta, Struct, field

from cnnlint.errors import ConfigError, RuleError
from cnnlint.graph.layer import Layer
from cnnlint.graph.patterns import Chain, Match, Op
from cnnlint.graph.training import UNTOLD, Training
from cnnlint.results import Advice, Confidence, Finding, NearMiss, Savings, Severity

if TYPE_CHECKING:
    from cnnlint.analysis.context import Context
    from cnnlint.frontends.keras.file import KerasFile
    from cnnlint.frontends.onnx.file import FileContext
    from cnnlint.frontends.onnx.records import NodeRecord
    from cnnlint.frontends.onnx.targets import Target
    from cnnlint.rewrite.editor import Editor
    from cnnlint.runtime.probe import Probe

L = TypeVar("L", bound=Layer)

CODE = re.compile(r"[A-Z]{2,4}\d{3}")
"""A family of two letters (plugins may take up to four) and three digits."""


class Example(Struct, frozen=True, kw_only=True):
    """A small network that shows a rule at work.

    Attributes:
        model: Notation ("INPUT 3x32x32 -> CONV 16 3x3 -> ...") or ONNX text.
        at: Names of the layers that findings are about, finding by finding; () for the network as a whole.
        options: Options of the rule that differ from the defaults.
        training: What the file would say of training: losses, metrics, optimizer, initializers.
        bad: Whether the rule finds anything.
        fixed: The network after the rewrite, written in the same way; "" if the example does not say.
    """

    model: str
    at: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    training: Training = UNTOLD
    bad: bool = False
    fixed: str = ""


def Bad(  # noqa: N802 - reads as a label in a rule
    model: str, *, at: tuple[str, ...], fixed: str = "", training: Training = UNTOLD, **options: object
) -> Example:
    """Return a network in which the rule finds something at the layers `at`; () stands for the network as a whole.

    `fixed` is the network that the rule's rewrite must make of it.
    """
    return Example(model=model, at=at, fixed=fixed, options=options, training=training, bad=True)


def Good(model: str, *, training: Training = UNTOLD, **options: object) -> Example:  # noqa: N802 - reads as a label in a rule
    """Return a network in which the rule finds nothing."""
    return Example(model=model, options=options, training=training)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field,))
class RuleMeta(msgspec.StructMeta):
    """Takes a rule's identity as class keywords: `class MyRule(LayerRule[Conv], code="XY001", ...)`."""

    def __new__(
        cls,
        class_name: str,
        bases: tuple[type, ...],
        namespace: dict[str, Any],
        /,
        *,
        code: str = "",
        severity: Severity = Severity.WARNING,
        confidence: Confidence = Confidence.HEURISTIC,
        reads_values: bool = False,
        since: str = "",
        preview: bool = False,
        replaces: tuple[str, ...] = (),
        **settings: Any,
    ) -> RuleMeta:
        """Make the class; its options are fields, frozen and spelled in kebab case outside Python."""
        if "name" in settings:
            raise RuleError(f"rule {class_name}: its name is that of its class, {_kebab(class_name)}, and is not given")
        settings = {"frozen": True, "kw_only": True, "rename": "kebab", **settings}
        made = super().__new__(cls, class_name, bases, namespace, **settings)
        if code:
            if not CODE.fullmatch(code):
                raise RuleError(f"rule {class_name}: {code!r} is not a family of letters and three digits, as in FC001")
            identity = {
                "code": code,
                "name": _kebab(class_name),
                "severity": severity,
                "confidence": confidence,
                "reads_values": reads_values,
                "since": since,
                "preview": preview,
                "replaces": replaces,
            }
            for key, value in identity.items():
                setattr(made, key, value)
        return made


class Rule(Struct, metaclass=RuleMeta):
    """A check; subclass one of the scopes below, whose `check` says what it is given.

    The class's docstring is its page: a first line that says what is wrong, then `## Why`, `## Instead`,
    `## When not` and `## References`. Fields are options, described by `Annotated[..., Meta(description=...)]`.
    """

    code: ClassVar[str] = ""
    name: ClassVar[str] = ""
    severity: ClassVar[Severity]
    confidence: ClassVar[Confidence]
    since: ClassVar[str] = ""
    """The version of its package that it came with; "" if it does not say."""
    preview: ClassVar[bool] = False
    """Whether it is on trial: it runs with `--preview` only, and may still change."""
    replaces: ClassVar[tuple[str, ...]] = ()
    """Codes and names that meant it before, alone or with other rules; nothing else may ever be called so."""
    examples: ClassVar[tuple[Example, ...]] = ()
    reads_values: ClassVar[bool] = False
    """Whether it reads the values of weights; a rule that does not say so is refused them."""
    needs_run: ClassVar[bool] = False
    """Whether it looks at runs of the model, and is left out of static lints."""
    explains: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Codes of rules whose findings tell nothing new beside an error of this one, and are left out then; each with
    words that such a finding has, "" for any."""
    rewrites_on_request: ClassVar[bool] = False
    """Whether its finding is that another network computes the same, and not that this one is better: a lint that runs
    the model verifies that, and `cnnlint fix` makes it if the rule is selected by its own code or name."""
    rewrites_unasked: ClassVar[bool] = False
    """Whether `cnnlint fix` makes its rewrites by default although it is a matter of opinion: what is smaller and
    computes the same, and yet not worth telling people of."""
    always_selected: ClassVar[bool] = False
    """Whether it runs whatever rules are selected; ignoring it works."""

    def run(self, context: Context, probe: Probe | None, /) -> Iterator[tuple[Where, Diagnostic | NearMiss]]:
        """Yield what the rule says of a network, each with what it looked at: this is what makes a scope.

        Args:
            context: Facts about the network.
            probe: The runs of the model; None in a static lint, where rules that need them are not run.
        """
        raise NotImplementedError

    def rewrite(self, where: Any, editor: Editor, /) -> None:
        """Change the ONNX model so that it keeps its function; overriding this makes the rule fixable.

        Args:
            where: The match of a PatternRule, the layer of a LayerRule, and of another rule the nodes that its finding
                is about, or else the layers.
            editor: The model to edit.
        """
        raise NotImplementedError

    def together(self, places: Sequence[Finding], context: Context, /) -> Diagnostic:
        """Return one finding about several places; overriding this makes one finding of a rule's places.

        The engine adds the places' layers and savings. A single place is told as the rule told it.

        Args:
            places: What the rule found, two or more of one severity, in the order of the graph; ignored ones are gone.
            context: Facts about the network.
        """
        raise NotImplementedError

    @classmethod
    def is_told_together(cls) -> bool:
        """Return whether `together` is overridden."""
        return cls.together is not Rule.together

    @classmethod
    def is_fixable(cls) -> bool:
        """Return whether `rewrite` is overridden."""
        return cls.rewrite is not Rule.rewrite

    @classmethod
    def flaw(cls) -> str:
        """Return what the class lacks to be a rule of its scope, as a clause; "" if nothing."""
        return "has no scope; derive it from PatternRule, LayerRule, ModelRule, FileRule or RuntimeRule"

    def finding(
        self,
        *layers: Layer,
        message: str,
        evidence: Mapping[str, int | float],
        advice: Advice | None = None,
        savings: Savings | None = None,
        severity: Severity | None = None,
        subject: str = "",
        nodes: Sequence[NodeRecord] = (),
        rewritable: bool = True,
    ) -> Diagnostic:
        """Return a finding about `layers`, the one meant first.

        Args:
            layers: Empty for the whole model.
            message: One sentence with the numbers in it.
            evidence: The numbers by name.
            advice: What to do.
            savings: What that saves.
            severity: For a case that is milder or graver than the rule's own severity.
            subject: What tells it from the rule's other findings about the same layers; never a number.
            nodes: Of an ONNX file, if it is about nodes, which may have become no layer; a rewrite is given them.
            rewritable: Whether the rule's rewrite, if it has one, can mend this case.
        """
        found = Finding(
            code=self.code,
            name=self.name,
            severity=severity or self.severity,
            confidence=self.confidence,
            layers=tuple(layer.name for layer in layers),
            message=message,
            evidence=dict(evidence),
            savings=savings,
            fixable=rewritable and self.is_fixable(),
        )
        return Diagnostic(found, layers, advice, subject, tuple(nodes))

    def skip(self, *layers: Layer, reason: str) -> NearMiss:
        """Return why nothing is said about `layers`; `cnnlint explain CODE --on MODEL` shows it."""
        return NearMiss(tuple(layer.name for layer in layers), reason)


class Diagnostic(Struct, frozen=True):
    """What a rule says, before the walker knows the user's framework.

    Attributes:
        finding: The finding, without advice and fingerprint.
        layers: Those that it names.
        advice: What to do, for each framework.
        subject: What tells it from the rule's other findings about the same layers.
        nodes: The nodes of the file that it is about, if it is about nodes.
    """

    finding: Finding
    layers: tuple[Layer, ...] = ()
    advice: Advice | None = None
    subject: str = ""
    nodes: tuple[NodeRecord, ...] = ()

    @property
    def where(self) -> tuple[Layer, ...] | tuple[NodeRecord, ...]:
        """What a rewrite is given."""
        return self.nodes or self.layers


Where = Match | Layer | tuple[Layer, ...] | tuple["NodeRecord", ...]
"""What a rule looked at: a match, a layer, or the layers or the nodes that a finding about the network is about."""


class PatternRule(Rule):
    """A rule about every place where `pattern` matches."""

    pattern: ClassVar[Chain | Op[Any]]

    def check(self, match: Match, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield what there is to say about `match`."""
        raise NotImplementedError

    def run(self, context: Context, _probe: Probe | None, /) -> Iterator[tuple[Where, Diagnostic | NearMiss]]:
        """Check each match, in topological order of its first layer."""
        pattern = self.pattern if isinstance(self.pattern, Chain) else Chain(self.pattern)
        for match in pattern.find(context.graph):
            for said in self.check(match, context):
                yield match, said

    @classmethod
    def flaw(cls) -> str:
        """Return what is missing: the pattern or the check."""
        if not isinstance(getattr(cls, "pattern", None), (Chain, Op)):
            return "has no pattern of layers"
        return "has no check" if cls.check is PatternRule.check else ""


class LayerRule(Rule, Generic[L]):
    """A rule about every layer of the kinds in brackets: `LayerRule[Conv]`, `LayerRule[MaxPool | AvgPool]`."""

    kinds: ClassVar[tuple[type[Layer], ...]] = ()

    def __init_subclass__(cls) -> None:
        """Take the kinds from the brackets."""
        for base in cls.__dict__.get("__orig_bases__", ()):
            if issubclass(get_origin(base) or object, LayerRule):
                written = [kind for argument in get_args(base) for kind in get_args(argument) or (argument,)]
                cls.kinds = tuple(kind for kind in written if isinstance(kind, type))

    def check(self, layer: L, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield what there is to say about `layer`."""
        raise NotImplementedError

    def run(self, context: Context, _probe: Probe | None, /) -> Iterator[tuple[Where, Diagnostic | NearMiss]]:
        """Check each layer of the kinds, in topological order."""
        for layer in context.graph.of_kind(*self.kinds):
            for said in self.check(cast("L", layer), context):
                yield layer, said

    @classmethod
    def flaw(cls) -> str:
        """Return what is missing: the kinds or the check."""
        if not cls.kinds:
            return "names no kind of layer, as LayerRule[Conv] does"
        return "has no check" if cls.check is LayerRule[Layer].check else ""


class ModelRule(Rule):
    """A rule about the network as a whole."""

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield what there is to say about the network."""
        raise NotImplementedError

    def run(self, context: Context, _probe: Probe | None, /) -> Iterator[tuple[Where, Diagnostic | NearMiss]]:
        """Check the network once."""
        for said in self.check(context):
            yield said.where if isinstance(said, Diagnostic) else (), said

    @classmethod
    def flaw(cls) -> str:
        """Return whether the check is missing."""
        return "has no check" if cls.check is ModelRule.check else ""


class FileRule(Rule):
    """A rule about what an ONNX file says, whatever network that makes; silent about other formats."""

    def check(self, file: FileContext, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield what there is to say about the file."""
        raise NotImplementedError

    def run(self, context: Context, _probe: Probe | None, /) -> Iterator[tuple[Where, Diagnostic | NearMiss]]:
        """Check the file once, if it is the user's own and not what a conversion made."""
        graph = context.graph
        if graph.file is not None and graph.source.format == "onnx":
            for said in self.check(cast("FileContext", graph.file), context):
                yield said.where if isinstance(said, Diagnostic) else (), said

    @staticmethod
    def at(context: Context, nodes: Iterable[NodeRecord]) -> tuple[Layer, ...]:
        """Return the layers that nodes of the file were raised to, in the order of the nodes."""
        return context.layers_at(node.label for node in nodes)

    def several(self, places: Sequence[Finding], what: str, advice: str) -> Diagnostic:
        """Return one finding about several places, for `together`: how many they are, and what was said of the first.

        Args:
            places: What the rule found.
            what: What they are, in the plural: "declarations contradict the nodes".
            advice: What to do about all of them.
        """
        first = places[0].message
        if first.startswith(("The ", "An ", "A ", "Node ")):
            first = f"{first[0].lower()}{first[1:]}"
        return self.finding(
            message=f"{len(places):,} {what}: {first}",
            evidence={"places": len(places)},
            advice=Advice(text=advice),
        )

    @classmethod
    def flaw(cls) -> str:
        """Return whether the check is missing."""
        return "has no check" if cls.check is FileRule.check else ""


class KerasRule(FileRule):
    """A rule about what a Keras archive says, whatever network that makes; silent about other formats."""

    def check(self, file: KerasFile, context: Context) -> Iterator[Diagnostic | NearMiss]:  # pyright: ignore[reportIncompatibleMethodOverride] - of another format
        """Yield what there is to say about the file."""
        raise NotImplementedError

    def run(self, context: Context, _probe: Probe | None, /) -> Iterator[tuple[Where, Diagnostic | NearMiss]]:
        """Check the file once."""
        graph = context.graph
        if graph.file is not None and graph.source.format in {"keras", "h5"}:
            for said in self.check(cast("KerasFile", graph.file), context):
                yield said.layers if isinstance(said, Diagnostic) else (), said

    @classmethod
    def flaw(cls) -> str:
        """Return whether the check is missing."""
        return "has no check" if cls.check is KerasRule.check else ""


class TargetRule(FileRule):
    """A rule about the runtimes that an ONNX file is meant for; the engine adds those of the configuration."""

    always_selected = True

    targets: Annotated[
        tuple[str, ...],
        Meta(description='Releases of runtimes, besides those of the setting `for`: "onnxruntime==1.17".'),
    ] = ()

    def __post_init__(self) -> None:
        """Refuse a target that nothing is known of."""
        try:
            self.releases()
        except ConfigError as error:
            raise ValueError(f"{error.cause}{f'; {error.remedy}' if error.remedy else ''}") from error

    def releases(self) -> tuple[Target, ...]:
        """Return what is documented of the targets, each once, as they are written."""
        if not self.targets:
            return ()
        from cnnlint.frontends.onnx.targets import parse_target  # it reads tables that few runs need

        return tuple({target.title: target for target in map(parse_target, self.targets)}.values())

    def run(self, context: Context, probe: Probe | None, /) -> Iterator[tuple[Where, Diagnostic | NearMiss]]:
        """Check the file once if there is a target; other formats are not what a target runs."""
        if not self.targets:
            yield (), self.skip(reason="no runtime is named")
            return
        if context.graph.source.format != "onnx":
            yield (), self.skip(reason=f"{', '.join(self.targets)} runs ONNX files, and this is none")
        yield from super().run(context, probe)


class RuntimeRule(Rule):
    """A rule about what onnxruntime says of the model; left out of static runs."""

    needs_run = True

    def begin(self, probe: Probe) -> None:
        """Start what goes on beside the runs; rules that override it are checked after all others."""

    def check(self, probe: Probe, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield what there is to say about the runs that `probe` made."""
        raise NotImplementedError

    def run(self, context: Context, probe: Probe | None, /) -> Iterator[tuple[Where, Diagnostic | NearMiss]]:
        """Check the runs; without any there is nothing to say."""
        if probe is not None:
            for said in self.check(probe, context):
                yield said.where if isinstance(said, Diagnostic) else (), said

    @classmethod
    def flaw(cls) -> str:
        """Return whether the check is missing."""
        return "has no check" if cls.check is RuntimeRule.check else ""


def _kebab(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()
