"""What a rule reports: a finding with its numbers, or why it stayed silent."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

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


class Proof(Struct, frozen=True, kw_only=True):
    """What onnxruntime said of a rewrite on the user's own model.

    Attributes:
        equivalent: Whether every compared value is within the tolerance.
        max_abs_error: The largest difference of any compared value.
        max_rel_error: The largest difference relative to the largest magnitude of its tensor.
        tolerance: What `max_rel_error` may be.
        runs: How many seeded inputs were run through both models.
        tensors: Names of the compared tensors.
    """

    equivalent: bool
    max_abs_error: float
    max_rel_error: float
    tolerance: float
    runs: int
    tensors: tuple[str, ...]


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


class Finding(Struct, frozen=True, kw_only=True):
    """One thing that a rule found.

    Attributes:
        code: The rule's code.
        name: The rule's name.
        severity: As the rule or the configuration has it.
        confidence: The rule's.
        layers: Names of the layers that it is about, the one meant first; () for the whole model.
        message: One sentence with the numbers in it.
        evidence: The numbers by name.
        suggestion: What to do, in the user's framework; "" if nothing need be done.
        savings: What doing it saves.
        proof: For a rewrite that onnxruntime has tried on the model.
        fingerprint: The same for the same finding after numbers have changed.
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
    proof: Proof | None = None
    fingerprint: str = ""


class NearMiss(Struct, frozen=True):
    """Why a rule stayed silent about layers that its pattern fits."""

    layers: tuple[str, ...]
    reason: str


def with_fingerprint(finding: Finding, identities: dict[str, str], subject: str = "") -> Finding:
    """Return `finding` with a fingerprint of its code, its layers' identities and `subject`, never of its numbers."""
    parts = [finding.code, *(identities.get(name, name) for name in finding.layers)]
    identity = "\0".join([*parts, f"\0{subject}"] if subject else parts)
    return replace(finding, fingerprint=blake2b(identity.encode(), digest_size=8).hexdigest())
