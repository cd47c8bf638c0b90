"""Where an ONNX file will run: what each release of a runtime supports, as its documentation says.

A runtime is a file of data in this folder, which names its sources, and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from msgspec import Struct

from cnnlint.errors import ConfigError, did_you_mean
from cnnlint.frontends.onnx.records import ModelRecord

WRITTEN = re.compile(r"\s*(?P<name>[A-Za-z][\w.-]*?)\s*==\s*v?(?P<release>\d+(?:\.\d+)*)\s*")

SINCE_IR = {
    "float8_e4m3fn": 9, "float8_e4m3fnuz": 9, "float8_e5m2": 9, "float8_e5m2fnuz": 9, "uint4": 10, "int4": 10,
    "float4_e2m1fn": 11, "float8_e8m0fnu": 12, "uint2": 13, "int2": 13, "float6_e2m3fn": 14, "float6_e3m2fn": 14,
}  # fmt: skip
"""The IR version that brought an element type, as `Version` in onnx.proto says; older ones have been there since 4."""

STANDARD = "ai.onnx"


class TargetSource(Struct, frozen=True, forbid_unknown_fields=True):
    """A document, and what was taken from it."""

    title: str
    url: str
    says: str


class Release(Struct, frozen=True, forbid_unknown_fields=True):
    """What a release supports.

    Attributes:
        release: "1.17", for all patches of it.
        ir: The newest IR version.
        opsets: The newest version of each operator set; the standard's own is "ai.onnx".
    """

    release: str
    ir: int
    opsets: dict[str, int]


class Runtime(Struct, frozen=True, forbid_unknown_fields=True):
    """A runtime and its releases, oldest first; each supports what those before it do.

    Attributes:
        name: As the user writes it: "onnxruntime".
        oldest: The oldest version of each operator set that all releases support.
        releases: As documented.
        sources: Where that stands.
    """

    name: str
    oldest: dict[str, int]
    releases: tuple[Release, ...]
    sources: tuple[TargetSource, ...]

    def smallest_release(self, record: ModelRecord) -> Release | None:
        """Return the oldest release that supports the versions and types of a file; None if no documented one does."""
        return next((each for each in self.releases if not any(_obstacles(record, self, each))), None)

    def undocumented(self, record: ModelRecord) -> tuple[str, ...]:
        """Return the domains that a file imports, other than its functions', and that no versions are documented of."""
        own = {domain for domain, _, _ in record.functions}
        domains = dict.fromkeys(domain or STANDARD for domain, _ in record.imports if domain not in own)
        return tuple(domain for domain in domains if domain not in self.oldest)


class Target(Struct, frozen=True):
    """A release that a model is meant for."""

    runtime: Runtime
    release: Release

    @property
    def title(self) -> str:
        """What a sentence calls it: "onnxruntime 1.17"."""
        return f"{self.runtime.name} {self.release.release}"

    def obstacles(self, record: ModelRecord) -> tuple[Obstacle, ...]:
        """Return what keeps the release from loading a file, as far as the file's versions and types decide that."""
        return tuple(_obstacles(record, self.runtime, self.release))


class Obstacle(Struct, frozen=True):
    """Something of a file that a release does not support.

    Attributes:
        kind: "ir", "opset" or "type".
        found: The version that the file names, or that brought the type.
        supported: The newest that the release supports; the oldest where the file has an older one.
        name: The domain, or the type.
        places: Tensors of the type.
    """

    kind: str
    found: int
    supported: int
    name: str = ""
    places: tuple[str, ...] = ()

    @property
    def is_outdated(self) -> bool:
        """Whether what is found is too old, and not too new."""
        return self.found < self.supported


def runtimes() -> tuple[str, ...]:
    """Return the names of the runtimes that there are data of."""
    return tuple(sorted(path.stem for path in Path(__file__).parent.glob("*.toml")))


@cache
def runtime(name: str) -> Runtime:
    """Return what is documented of a runtime, one of `runtimes()`."""
    import tomllib

    import msgspec

    text = Path(__file__).with_name(f"{name}.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), Runtime)


def parse_target(written: str) -> Target:
    """Return the release that is written as "onnxruntime==1.17", or with a patch, "onnxruntime==1.17.3".

    Raises:
        ConfigError: It is written otherwise, or nothing is known of the runtime or of the release.
    """
    match = WRITTEN.fullmatch(written)
    names = runtimes()
    if match is None:
        raise ConfigError(f"{written!r} names no release of a runtime", remedy=f"write {names[0]}==1.17")
    name = match["name"].lower()
    if name not in names:
        hint = did_you_mean(name, names) or f"there are data of {', '.join(names)}"
        raise ConfigError(f"{written!r} names a runtime that nothing is known of", remedy=hint)
    known = runtime(name)
    major, minor, *_ = *match["release"].split("."), "0"
    wanted = f"{int(major)}.{int(minor)}"
    for release in known.releases:
        if release.release == wanted:
            return Target(known, release)
    first, last = known.releases[0].release, known.releases[-1].release
    remedy = f"write {name}=={last}, for newer releases support what it does" if _is_newer(wanted, last) else None
    raise ConfigError(f"{written!r} is not among the documented releases, {first} to {last}", remedy=remedy)


def _is_newer(release: str, than: str) -> bool:
    return [int(part) for part in release.split(".")] > [int(part) for part in than.split(".")]


def _obstacles(record: ModelRecord, known: Runtime, release: Release) -> Iterator[Obstacle]:
    if record.ir_version > release.ir:
        yield Obstacle("ir", record.ir_version, release.ir)
    of_functions = (pair for function in record.functions.values() for pair in function.opsets.items())
    for domain, version in dict.fromkeys((*record.imports, *of_functions)):
        name = domain or STANDARD
        newest, oldest = release.opsets.get(name), known.oldest.get(name, 0)
        if newest is not None and version > newest:
            yield Obstacle("opset", version, newest, name)
        elif version < oldest:
            yield Obstacle("opset", version, oldest, name)
    for dtype, places in _late_types(record).items():
        if SINCE_IR[dtype] > release.ir:
            yield Obstacle("type", SINCE_IR[dtype], release.ir, dtype, tuple(places))


def _late_types(record: ModelRecord) -> dict[str, list[str]]:
    """Return the tensors of the graph whose types came with an IR version newer than those of all others."""
    graph = record.graph
    found = dict[str, list[str]]()
    for tensor in (*graph.initializers.values(), *graph.inputs, *graph.value_infos.values(), *graph.outputs):
        if tensor.dtype in SINCE_IR:
            found.setdefault(tensor.dtype, []).append(tensor.name)
    return found
