"""The files of the table: kept as they are where they are small, else built from what is particular about them."""

from __future__ import annotations

import io
import json
import shutil
import string
import zipfile
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from fuzz import wire

KEPT = Path(__file__).with_name("files")
MODELS = Path(__file__).parents[2] / "fixtures" / "models"
GOOD = MODELS / "vgg_style.onnx"
FLOAT = 1


def lay(name: str, folder: Path) -> Path:
    """Write the file `name` into `folder`, and what belongs to it; return its path."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if name in BUILT:
        path.write_bytes(BUILT[name]())
    elif name == "good.onnx":
        shutil.copy(GOOD, path)
    elif name == "evil_folder/m.onnx":
        shutil.copy(GOOD, path)
        (path.parent / "cnnlint.toml").write_text('rule-files = ["evil.py"]\n')
        (path.parent / "evil.py").write_text('open("RAN-CODE-OF-THE-FOLDER", "w").write("x")\n')
    else:
        path.write_bytes(with_weights((KEPT / name).read_bytes()))
    return path


def with_weights(content: bytes) -> bytes:
    """Return a model with the float weights filled in that were taken out to keep the file small."""
    model = wire.parse(content)
    filled = False
    for _, tensor in model.walk():
        kind = tensor.first(2) if tensor.message == "TensorProto" else None
        if kind is None or kind.value != FLOAT or any(tensor.all(number) for number in (4, 9, 13)):
            continue
        elements = 1
        for extent in tensor.all(1):
            elements *= int(extent.value) if isinstance(extent.value, int) else 1
        if 16 < elements < 10**7:
            tensor.fields.append(wire.Field(9, wire.SIZED, b"\x0a\xd7\x23\x3c" * elements))  # 0.01
            filled = True
    return model.encode() if filled else content


def _model(text: str) -> bytes:
    from onnx import parser

    return parser.parse_model('<ir_version: 8, opset_import: ["" : 17, "l" : 1]>\n' + text).SerializeToString()


def _calls(levels: int, node: str, times: int) -> bytes:
    """Return a model of functions that call the next one, `times` over."""

    def body(called: str) -> str:
        names = ["a", "t", "b"] if times == 2 else ["a", "b"]
        return "".join(f"{there} = {called} ({here}) " for here, there in pairwise(names))

    head = '<domain: "l", opset_import: ["" : 17, "l" : 1]>'
    functions = [
        f"{head} f{level} (a) => (b) {{ {body(f'l.f{level + 1}' if level + 1 < levels else node)} }}"
        for level in range(levels)
    ]
    return _model("g (float[1,3] x) => (float[1,3] y) { y = l.f0 (x) }\n" + "\n".join(functions))


def _doubled(levels: int, node: str) -> bytes:
    """Return a model that reshapes to a shape which is doubled, or multiplied by itself, so many times."""
    lines = "".join(f"k{level + 1} = {node} (k{level}, k{level}) " for level in range(levels))
    return _model(
        f"g (float[1,3,8,8] x) => (float[] y) <int64[2] k0 = {{1,3}}> {{ {lines} y = Reshape (x, k{levels}) }}"
    )


def _chain(levels: int) -> bytes:
    """Return transposed convolutions in a row, of which each multiplies the map by 2^62."""
    far = "<strides: ints = [4611686018427387904, 4611686018427387904]>"
    lines = "".join(f"k{level + 1} = ConvTranspose {far} (k{level}, w) " for level in range(levels))
    zeros = ",".join("0" * 9)
    return _model(f"g (float[1,1,8,8] k0) => (float[] k{levels}) <float[1,1,3,3] w = {{{zeros}}}> {{ {lines} }}")


def _huge_kernel() -> bytes:
    extents = ",".join([str(2**40)] * 2000)
    return _model(f"g (float[1,3,{extents}] x) => (float[] y) {{ y = MaxPool <kernel_shape: ints = [{extents}]> (x) }}")


def _edited(source: str, *changes: tuple[tuple[Any, ...], Any]) -> bytes:
    """Return a fixture with places of its configuration changed; None takes a key away."""
    members = _members(source)
    config = json.loads(members["config.json"])
    for place, value in changes:
        held = config["config"]["layers"]
        for key in place[:-1]:
            held = held[key]
        if value is None:
            del held[place[-1]]
        else:
            held[place[-1]] = value
    members["config.json"] = json.dumps(config).encode()
    return _packed(members)


def _damaged(source: str, member: str, *changes: tuple[int, int]) -> bytes:
    members = _members(source)
    content = bytearray(members[member])
    for at, value in changes:
        content[at] = value
    members[member] = bytes(content)
    return _packed(members)


def _members(source: str) -> dict[str, bytes]:
    with zipfile.ZipFile(MODELS / source) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _packed(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def _bomb(member: str, pieces: Iterable[bytes], method: int) -> bytes:
    """Return a fixture of which one member is written piece by piece: small when packed, large when read."""
    members = _members("seed_cnn.keras")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members.items():
            if name != member:
                archive.writestr(name, content)
        info = zipfile.ZipInfo(member)
        info.compress_type = method
        with archive.open(info, "w", force_zip64=True) as file:
            for piece in pieces:
                file.write(piece)
    return packed.getvalue()


def _many_dicts(head: bytes, count: int) -> Iterator[bytes]:
    yield head
    for _ in range(count // 10_000):
        yield b"{}," * 10_000
    yield b"{}]}"


def _zeros(megabytes: int) -> Iterator[bytes]:
    for _ in range(megabytes):
        yield bytes(2**20)


def _relus(count: int) -> bytes:
    """Return Relus in a row, each with the shortest name there is left: as many as fit into 1 MB."""
    from onnx import ModelProto

    letters = string.ascii_letters + string.digits

    def name(number: int) -> str:
        digits = letters[number % len(letters)]
        while number := number // len(letters):
            digits += letters[number % len(letters)]
        return digits

    model = ModelProto.FromString(_model("g (float[1,3,8,8] x) => (float[1,3,8,8] y) { y = Relu (x) }"))
    del model.graph.node[:]
    for number in range(count):
        model.graph.node.add(op_type="Relu", input=[name(number)], output=[name(number + 1)])
    model.graph.input[0].name, model.graph.output[0].name = name(0), name(count)
    return model.SerializeToString()


_CONFIG = b'{"class_name":"Sequential","config":['
_WIDE = 10**119

BUILT: dict[str, Callable[[], bytes]] = {
    "relus.onnx": lambda: _relus(50_000),
    "reduce_axis.onnx": lambda: _model(
        "g (int32[4,5] x) => (float[4,5] y) { z = ReduceProd <axes: ints = [6]> (x) y = EyeLike <dtype: int = 1> (z) }"
    ),
    "f_merge.onnx": lambda: _model(
        "g (float[1,3,8,8] x) => (float[] y) <float[5] c = {1, 2, 3, 4, 5}> { y = Concat <axis = 1> (x, c) }"
    ),
    "f_view.onnx": lambda: _model(
        "g (float[1,3,8,8] x) => (float[] y) { y = Transpose <perm: ints = [4294967296, 3, 1, 2]> (x) }"
    ),
    "deep.toml": lambda: b"a=" + b"[" * 1500 + b"]" * 1500,
    "calls200.onnx": lambda: _calls(200, "Relu", 1),
    "laughs40.onnx": lambda: _calls(40, "Relu", 2),
    "s_laughs30.onnx": lambda: _calls(30, "Relu", 2),
    "concat40.onnx": lambda: _doubled(40, "Concat <axis = 0>"),
    "s_concat28.onnx": lambda: _doubled(28, "Concat <axis = 0>"),
    "s_mul30.onnx": lambda: _doubled(30, "Mul"),
    "s_convt16.onnx": lambda: _chain(16),
    "convt3000.onnx": lambda: _chain(3000),
    "hugekernel.onnx": _huge_kernel,
    "k_FC001_zerodiv.keras": lambda: _edited(
        "smelly.keras",
        ((4, "inbound_nodes"), None),
        ((6, "config", "strides"), 2**63 - 1),
        ((11, "config", "dtype"), {"class_name": "relu", "config": {}}),
    ),
    "k_history_2p63.keras": lambda: _edited(
        "smelly.keras",
        ((3, "config", "epsilon"), "__keras_tensor__"),
        ((6, "inbound_nodes", 0, "args", 0, "config", "shape", 2), 2),
        ((16, "inbound_nodes", 0, "args", 0, "config", "keras_history", 2), 2**63 - 1),
    ),
    "k_summary_overflow.keras": lambda: _edited(
        "branches.keras",
        ((6, "config", "dilation_rate"), _WIDE),
        ((10, "inbound_nodes", 0, "args", 0, "config", "shape", 0), _WIDE),
    ),
    "k_summary_zip_conv.keras": lambda: _edited("torch_twin.keras", ((23, "config"), {"class_name": "x"})),
    "k_summary_zip_pool.keras": lambda: _edited("seed_cnn.keras", ((3, "class_name"), "GlobalAveragePooling2D")),
    "k_hdf5_hang.keras": lambda: _damaged(
        "branches.keras", "model.weights.h5", (935, 201), (936, 15), (7337, 127), (25_936, 127)
    ),
    "k_zlib_error.keras": lambda: _with_bytes("torch_twin.keras", (3060, 158), (3454, 130)),
    "kz_cfg_dicts20m.keras": lambda: _bomb("config.json", _many_dicts(_CONFIG, 6_550_000), zipfile.ZIP_DEFLATED),
    "kz_cfg_dicts250m.keras": lambda: _bomb("config.json", _many_dicts(_CONFIG, 78_640_000), zipfile.ZIP_DEFLATED),
    "kz_meta_dicts250m.keras": lambda: _bomb("metadata.json", _many_dicts(b'{"a":[', 78_640_000), zipfile.ZIP_DEFLATED),
    "kz_w_lzma.keras": lambda: _bomb("model.weights.h5", _zeros(600), zipfile.ZIP_LZMA),
}
"""What builds each file that is not kept."""


def _with_bytes(source: str, *changes: tuple[int, int]) -> bytes:
    content = bytearray((MODELS / source).read_bytes())
    for at, value in changes:
        content[at] = value
    return bytes(content)
