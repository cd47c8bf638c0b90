"""What cnnlint says of the faulty networks and of their repaired twins, and what that comes to for each rule."""

from __future__ import annotations

import tempfile
import tomllib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import msgspec

import cnnlint
from cnnlint.engine.registry import load_rules
from cnnlint.engine.rule import Rule
from cnnlint.engine.walker import walk
from cnnlint.graph.graph import Graph
from cnnlint.results import Confidence, Finding, Severity
from drafts import Draft, draft
from drafts.archive import archive

FILE = Path(__file__).with_name("networks.toml")

RULES: dict[str, type[Rule]] = {rule.code: rule for rule in load_rules() if not rule.needs_run}


class Network(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A network of the corpus; the fields are described in `networks.toml`."""

    name: str
    url: str
    says: str
    rules: tuple[str, ...]
    net: str
    keras: dict[str, dict[str, Any]] = {}
    loss: str = ""
    from_logits: bool | None = None
    optimizer: str = "Adam"
    settings: dict[str, Any] = {}
    metrics: list[str] = []
    assumed: str = ""
    form: Literal["keras", "onnx"] = "keras"
    unseen: str = ""
    missed: str = ""
    repaired: dict[str, Any] = {}

    @property
    def twin(self) -> Network:
        """The repaired network."""
        return msgspec.convert({**msgspec.to_builtins(self), **self.repaired}, Network)

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of those of `rules` that exist."""
        by_name = {name: rule.code for rule in RULES.values() for name in (rule.code, rule.name)}
        return tuple(by_name[name] for name in self.rules if name in by_name)

    def draft(self) -> Draft:
        """Return the network as a draft."""
        return draft(
            self.net,
            keras=self.keras,
            loss=self.loss,
            from_logits=self.from_logits,
            optimizer=self.optimizer,
            settings=self.settings,
            metrics=self.metrics,
        )

    def graph(self, folder: Path) -> Graph:
        """Return the graph of the network's file, which is written into `folder` if it is Keras's."""
        if self.form == "onnx":
            return cnnlint.load(self.draft().onnx())
        return cnnlint.load(archive(self.draft(), folder / f"{self.name}.keras", inline=True))


class Judgment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be thought of a warning that no source named, in some networks and their twins."""

    rule: str
    networks: tuple[str, ...]
    why: str
    right: bool = True


class Corpus(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `networks.toml` holds."""

    network: tuple[Network, ...]
    judged: tuple[Judgment, ...] = ()


CORPUS = msgspec.convert(tomllib.loads(FILE.read_text(encoding="utf-8")), Corpus)
JUDGED = {(each.rule, network): each.right for each in CORPUS.judged for network in each.networks}


class Told(msgspec.Struct, frozen=True):
    """What cnnlint says of a network and of its repaired twin, with all rules but those that run it."""

    network: Network
    faulty: tuple[Finding, ...]
    repaired: tuple[Finding, ...]

    @property
    def found(self) -> tuple[str, ...]:
        """The codes that should say the fault and do."""
        return tuple(code for code in self.network.codes if any(finding.code == code for finding in self.faulty))

    @property
    def still(self) -> tuple[str, ...]:
        """The codes that say the fault and say it of the repaired network too, no less gravely."""
        return tuple(code for code in self.found if _gravest(self.repaired, code) >= _gravest(self.faulty, code))


class Measured(msgspec.Struct, frozen=True):
    """How a rule does on the corpus.

    Attributes:
        code: Of the rule.
        name: Of the rule.
        networks: Networks whose fault it should find.
        found: Those in which it does.
        told: Networks and repaired twins of which it says something, as a warning or an error.
        right: Those of `told` in which it was named by the source, or judged right in the corpus.
    """

    code: str
    name: str
    networks: int
    found: int
    told: int
    right: int


def tell(network: Network, folder: Path) -> Told:
    """Lint a network and its twin."""
    rules = [rule() for rule in RULES.values()]
    faulty, repaired = (walk(each.graph(folder), rules).findings for each in (network, network.twin))
    return Told(network, faulty, repaired)


def tell_all() -> tuple[Told, ...]:
    """Lint the whole corpus."""
    with tempfile.TemporaryDirectory() as folder:
        return tuple(tell(network, Path(folder)) for network in CORPUS.network)


def measure(told: Iterable[Told]) -> tuple[Measured, ...]:
    """Return recall and precision of each rule that should find a fault of the corpus, or warns of something in it."""
    networks, found, warned, right = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    for each in told:
        network = each.network
        if not network.unseen:
            # one of several rules is enough: it is the one that was asked
            for code in each.found[:1] or network.codes[:1]:
                networks[code] += 1
                found[code] += code in each.found
        for findings in (each.faulty, each.repaired):
            for code in warnings(findings):
                warned[code] += 1
                named = code in network.codes and findings is each.faulty
                right[code] += named or JUDGED.get((code, network.name), False)
    return tuple(
        Measured(code, RULES[code].name, networks[code], found[code], warned[code], right[code])
        for code in sorted({*networks, *warned})
    )


def warnings(findings: tuple[Finding, ...]) -> set[str]:
    """Return the codes of warnings and errors, those that are a matter of opinion left out."""
    return {
        finding.code
        for finding in findings
        if finding.severity != Severity.INFO and RULES[finding.code].confidence != Confidence.OPINION
    }


def unjudged(told: Iterable[Told]) -> list[str]:
    """Return the warnings and errors that no source named and nobody has judged, as lines."""
    lines = list[str]()
    for each in told:
        for side, findings in (("faulty", each.faulty), ("repaired", each.repaired)):
            named = set(each.network.codes) if side == "faulty" else set[str]()
            for code in sorted(warnings(findings) - named):
                if (code, each.network.name) not in JUDGED:
                    message = next(finding.message for finding in findings if finding.code == code)
                    lines.append(f"{each.network.name} ({side}): {code} {message}")
    return lines


def without_rules() -> dict[str, tuple[str, ...]]:
    """Return the networks whose fault no rule is there for, and the rules that should be."""
    return {network.name: network.rules for network in CORPUS.network if not network.codes and not network.unseen}


GRAVITY = {None: 0, Severity.INFO: 1, Severity.WARNING: 2, Severity.ERROR: 3}


def _gravest(findings: tuple[Finding, ...], code: str) -> int:
    return max((GRAVITY[finding.severity] for finding in findings if finding.code == code), default=0)
