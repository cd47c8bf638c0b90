"""What a rule is: identity, page, pattern, options, behaviour and examples in one class."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, dataclass_transform

import msgspec
from msgspec import Struct, field

from cnnlint.errors import RuleError
from cnnlint.graph.graph import Training
from cnnlint.graph.layer import Layer
from cnnlint.graph.patterns import Chain, Match, Op
from cnnlint.results import Advice, Confidence, Finding, NearMiss, Savings, Severity

if TYPE_CHECKING:
    from cnnlint.analysis.context import Context
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
        training: What the file would say about the loss.
        bad: Whether the rule finds anything.
    """

    model: str
    at: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    training: tuple[Training, ...] = ()
    bad: bool = False


def Bad(  # noqa: N802 - reads as a label in a rule
    model: str, *, at: tuple[str, ...], training: tuple[Training, ...] = (), **options: object
) -> Example:
    """Return a network in which the rule finds something at the layers `at`; () stands for the network as a whole."""
    return Example(model=model, at=at, options=options, training=training, bad=True)


def Good(model: str, *, training: tuple[Training, ...] = (), **options: object) -> Example:  # noqa: N802 - reads as a label in a rule
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
    examples: ClassVar[tuple[Example, ...]] = ()
    reads_values: ClassVar[bool] = False
    """Whether it reads the values of weights; a rule that does not say so is refused them."""

    def finding(
        self,
        *layers: Layer,
        message: str,
        evidence: Mapping[str, int | float],
        advice: Advice | None = None,
        savings: Savings | None = None,
        severity: Severity | None = None,
        subject: str = "",
    ) -> Remark:
        """Return a finding about `layers`, the one meant first.

        Args:
            layers: Empty for the whole model.
            message: One sentence with the numbers in it.
            evidence: The numbers by name.
            advice: What to do.
            savings: What that saves.
            severity: For a case that is milder or graver than the rule's own severity.
            subject: What tells it from the rule's other findings about the same layers; never a number.
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
        )
        return Remark(found, advice, subject)

    def skip(self, *layers: Layer, reason: str) -> NearMiss:
        """Return why nothing is said about `layers`; `cnnlint explain CODE --on MODEL` shows it."""
        return NearMiss(tuple(layer.name for layer in layers), reason)

    @classmethod
    def is_fixable(cls) -> bool:
        """Return whether the rule can rewrite what it finds."""
        return False


class Remark(Struct, frozen=True):
    """A finding and its advice, before the walker knows the user's framework."""

    finding: Finding
    advice: Advice | None
    subject: str = ""


class PatternRule(Rule):
    """A rule about every place where `pattern` matches."""

    pattern: ClassVar[Chain | Op[Any]]

    def check(self, match: Match, context: Context) -> Iterator[Remark | NearMiss]:
        """Yield what there is to say about `match`."""
        raise NotImplementedError

    def rewrite(self, match: Match, editor: Editor) -> None:
        """Change the ONNX model so that it keeps its function; overriding this makes the rule fixable."""
        raise NotImplementedError

    @classmethod
    def is_fixable(cls) -> bool:
        """Return whether `rewrite` is overridden."""
        return cls.rewrite is not PatternRule.rewrite


class LayerRule(Rule, Generic[L]):
    """A rule about every layer of `kinds`."""

    kinds: ClassVar[tuple[type[Layer], ...]]

    def check(self, layer: L, context: Context) -> Iterator[Remark | NearMiss]:
        """Yield what there is to say about `layer`."""
        raise NotImplementedError

    def rewrite(self, layer: L, editor: Editor) -> None:
        """Change the ONNX model so that it keeps its function; overriding this makes the rule fixable."""
        raise NotImplementedError

    @classmethod
    def is_fixable(cls) -> bool:
        """Return whether `rewrite` is overridden."""
        return cls.rewrite is not LayerRule[Layer].rewrite


class ModelRule(Rule):
    """A rule about the network as a whole."""

    def check(self, context: Context) -> Iterator[Remark | NearMiss]:
        """Yield what there is to say about the network."""
        raise NotImplementedError


class RuntimeRule(Rule):
    """A rule about what onnxruntime says of the model; left out of static runs."""

    def check(self, probe: Probe, context: Context) -> Iterator[Remark | NearMiss]:
        """Yield what there is to say about the runs that `probe` made."""
        raise NotImplementedError


def _kebab(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()
