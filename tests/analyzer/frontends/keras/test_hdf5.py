"""Our reader of HDF5 sees in a file what the library of HDF5 sees, and is hurt by none."""

from __future__ import annotations

import io
import random
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import ml_dtypes
import numpy as np
import pytest

from cnnlint.errors import ModelError
from cnnlint.frontends.keras.hdf5.objects import Hdf5Object, opened
from cnnlint.frontends.keras.storage import Hdf5Storage
from cnnlint.frontends.sources import Memory
from cnnlint.limits import HDF5_BYTES_A_PART, HDF5_SPARE_PARTS

DATA = Path(__file__).with_name("data")
FIXTURES = Path(__file__).parents[4] / "fixtures" / "models"

Build = Callable[[h5py.File], None]


def written(build: Build, **options: Any) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", **options) as file:
        build(file)
    return buffer.getvalue()


def as_library_sees(content: bytes) -> dict[str, object]:
    """Return shape, type and values of each array by path, None for each group, and the texts of all attributes."""
    found = dict[str, object]()
    with h5py.File(io.BytesIO(content), "r") as file:

        def visit(path: str, item: Any) -> None:
            is_array = isinstance(item, h5py.Dataset)
            if path:
                found[path] = (item.shape, item.dtype.name, item[()].tobytes()) if is_array else None
            note(path, item)
            for name in item if isinstance(item, h5py.Group) else ():  # `visititems` meets nothing twice
                if not isinstance(item[name], h5py.Datatype):
                    visit(f"{path}/{name}" if path else name, item[name])

        def note(path: str, item: Any) -> None:
            for name, value in item.attrs.items():
                if isinstance(value, (str, bytes)) or (isinstance(value, np.ndarray) and value.dtype.kind in "OS"):
                    texts = list(np.atleast_1d(value).flat)
                    found[f"{path}@{name}"] = [text.decode() if isinstance(text, bytes) else text for text in texts]

        visit("", file)
    return found


def as_we_see(content: bytes, names: Iterator[str] | list[str]) -> dict[str, object]:
    """Return the same; `names` are the attributes to ask for, as path@name."""
    found = dict[str, object]()
    source = Memory(content)
    with opened(source, "m.h5") as root:
        nodes = {"": root, **{node.path: node for node in root.walk()}}
        for path, node in nodes.items():
            if node.is_dataset:
                dataset = node.dataset()
                values = Hdf5Storage(source, dataset, "m.h5").read()
                found[path] = (dataset.shape, dataset.dtype, values.tobytes())
            elif path:
                found[path] = None
        for entry in names:
            path, _, name = entry.partition("@")
            found[entry] = nodes[path].texts(name)
    return found


def agree(content: bytes) -> dict[str, object]:
    truth = as_library_sees(content)
    assert as_we_see(content, [key for key in truth if "@" in key]) == truth
    return truth


def many_layers(count: int) -> Build:
    def build(file: h5py.File) -> None:
        names = [f"layer_{index}" for index in range(count)]
        file.attrs["layer_names"] = np.array([name.encode() for name in names])
        for index, name in enumerate(names):
            group = file.create_group(f"layers/{name}")
            group["0"] = np.full((index % 3, 2), index, np.float32)
            group.attrs["name"] = name

    return build


def many_attributes(file: h5py.File) -> None:
    group = file.create_group("group")
    for index in range(200):
        group.attrs[f"attribute {index}"] = f"value {index}" * (index % 7)
    group["values"] = np.arange(6)
    group["values"].attrs["list"] = ["a", "äöü", ""]


def large_attributes(file: h5py.File) -> None:
    file.attrs["model_config"] = "x" * 300_000
    file.attrs["bytes"] = b"{}" * 70_000
    file.attrs["names"] = np.array([f"layer {index}".encode() for index in range(3000)])
    file.attrs["one"] = np.bytes_("fixed")


def all_types(file: h5py.File) -> None:
    for kind in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", ">f4", ">i4", "?"):
        file[f"type {kind}"] = np.arange(5).astype(kind)
    file["scalar"] = np.float32(3)
    file["empty"] = np.zeros((0, 4), np.float32)
    file["unwritten"] = file.create_dataset("later", (3, 3), "f4")
    file["opaque"] = np.frombuffer(b"abcdef", "V2")


def all_layouts(file: h5py.File) -> None:
    values = np.arange(60, dtype=np.float32).reshape(5, 12)
    file["contiguous"] = values
    file.create_dataset("chunked", data=values, chunks=(2, 5))
    file.create_dataset("packed", data=values, chunks=(2, 5), compression="gzip", shuffle=True)
    file.create_dataset("resizable", data=values, maxshape=(None, 12))
    compact = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    compact.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple(values.shape)
    h5py.h5d.create(file.id, b"compact", h5py.h5t.NATIVE_FLOAT, space, dcpl=compact).write(
        h5py.h5s.ALL, h5py.h5s.ALL, values
    )
    file["named type"] = np.dtype("f8")
    file.create_dataset("of a named type", data=values, dtype=file["named type"])


def linked_twice(file: h5py.File) -> None:
    file["a/b/values"] = np.arange(3)
    file["again"] = file["a/b"]


BUILDS: dict[str, Build] = {
    "nothing": lambda file: None,
    "one layer": many_layers(1),
    "nine layers": many_layers(9),
    "three hundred layers": many_layers(300),
    "attributes": many_attributes,
    "types": all_types,
    "layouts": all_layouts,
    "hard links": linked_twice,
}  # fmt: skip
LARGE = ["three hundred layers"]
"""What the oldest and the newest version of the format always show, and those between when there is time."""


VERSIONS = [(libver, track_order) for libver in ("earliest", "v108", "v110", "latest") for track_order in (False, True)]


@pytest.mark.parametrize(
    ("build", "libver", "track_order"),
    [
        pytest.param(build, *version, marks=[pytest.mark.exhaustive] if build in LARGE and 0 < index < 7 else [])
        for build in BUILDS
        for index, version in enumerate(VERSIONS)
    ],
)
def test_we_see_what_the_library_sees(build: str, libver: str, track_order: bool) -> None:
    assert (build == "nothing") != bool(agree(written(BUILDS[build], libver=libver, track_order=track_order)))


@pytest.mark.parametrize("libver", ["v108", "latest"])
def test_attributes_too_large_for_a_header_are_read(libver: str) -> None:
    truth = agree(written(large_attributes, libver=libver))
    assert len(truth["@names"]) == 3000  # type: ignore[arg-type]


def test_links_that_fill_blocks_of_blocks_of_a_heap_are_read() -> None:
    def build(file: h5py.File) -> None:
        for index in range(12_000):
            file[f"{'long name ' * 20}{index}"] = file["/"]

    content = written(build, libver="latest")
    with opened(Memory(content), "m.h5") as root:
        links = root.links()
    with h5py.File(io.BytesIO(content), "r") as file:
        assert sorted(links) == sorted(file.keys())
    assert set(links.values()) == {next(iter(links.values()))}


def test_a_block_of_the_users_own_may_come_first() -> None:
    truth = agree(written(all_layouts, userblock_size=1024))
    assert "contiguous" in truth


def test_bfloat16_is_known_by_its_bits_and_by_what_keras_notes() -> None:
    values = np.arange(6).astype(ml_dtypes.bfloat16)

    def build(file: h5py.File) -> None:
        file["noted"] = values
        file["noted"].attrs["dtype"] = "bfloat16"
        kind = h5py.h5t.IEEE_F32LE.copy()
        kind.set_fields(15, 7, 8, 0, 7)
        kind.set_size(2)
        kind.set_ebias(127)
        space = h5py.h5s.create_simple((6,))
        h5py.h5d.create(file.id, b"bits", kind, space).write(
            h5py.h5s.ALL, h5py.h5s.ALL, values.astype(np.float32), h5py.h5t.NATIVE_FLOAT
        )

    content = written(build)
    with opened(Memory(content), "m.h5") as root:
        for node in root.walk():
            dataset = node.dataset()
            assert dataset.dtype == "bfloat16"
            np.testing.assert_array_equal(Hdf5Storage(Memory(content), dataset, "m.h5").read(), values)


KERAS_FILES = [*sorted(DATA.glob("*.h5")), *sorted(FIXTURES.glob("*.h5"))]


@pytest.mark.parametrize("path", KERAS_FILES, ids=lambda path: path.name)
def test_what_keras_wrote_is_read(path: Path) -> None:
    truth = agree(path.read_bytes())
    assert any("model_config" in key for key in truth)


@pytest.mark.tf
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of TensorFlow, within save
@pytest.mark.parametrize("ending", ["h5", "keras"])
def test_what_this_keras_writes_is_read(tmp_path: Path, ending: str) -> None:
    keras = pytest.importorskip("keras")
    layers = keras.layers
    shared = layers.Dense(4)
    image = keras.Input((16, 16, 3))
    first = layers.Conv2D(4, 3, padding="same")(image)
    inner = keras.Sequential([keras.Input((16, 16, 4)), layers.BatchNormalization(), layers.DepthwiseConv2D(3)])
    output = shared(layers.GlobalAveragePooling2D()(inner(first)))
    model = keras.Model(image, shared(output))
    model.compile("adam", "mse")
    model.save(tmp_path / f"m.{ending}")
    content = (tmp_path / f"m.{ending}").read_bytes()
    if ending == "keras":
        import zipfile

        with zipfile.ZipFile(tmp_path / "m.keras") as archive:
            content = archive.read("model.weights.h5")
    truth = agree(content)
    stored = [entry[0] for path, entry in truth.items() if isinstance(entry, tuple) and "optimizer" not in path]
    assert sorted(stored) == sorted(tuple(weight.shape) for weight in model.weights)


def survives(content: bytes) -> bool:
    """Return whether damaged content can be read to its end; whatever it is, nothing but a ModelError is raised."""
    source = Memory(content)
    try:
        with opened(source, "m.h5") as root:
            _look_at(root, source)
    except ModelError as error:
        said = str(error)
    else:
        return True
    assert said.startswith("m.h5: ")
    assert "\n" not in said
    return False


def _look_at(root: Hdf5Object, source: Memory) -> None:
    root.text("model_config")
    for node in root.walk():
        node.texts("weight_names")
        if node.is_dataset:
            dataset = node.dataset()
            if dataset.start is not None and dataset.code:
                Hdf5Storage(source, dataset, "m.h5").read()


def samples() -> dict[str, bytes]:
    dense = written(lambda file: (many_attributes(file), many_layers(20)(file)), libver="latest")
    old = (DATA / "keras2_frozen.h5").read_bytes()
    return {
        "keras 2": old,
        "old structures": written(many_layers(20)),
        "new structures": dense,
        "order of creation": written(many_layers(12), track_order=True),
    }


@pytest.mark.parametrize("sample", ["keras 2", "old structures", "new structures", "order of creation"])
def test_damaged_bytes_never_hang_and_raise_one_kind_of_error(sample: str, thorough: bool) -> None:
    content = samples()[sample]
    tries = 500 if thorough else 100
    start, read = time.perf_counter(), 0
    marks = [
        at for mark in (b"OHDR", b"TREE", b"SNOD", b"HEAP", b"FRHP", b"BTHD", b"GCOL") for at in _all(content, mark)
    ]
    for seed in range(tries):
        chance = random.Random(seed)
        damaged = bytearray(content)
        for _ in range(chance.randint(1, 8)):
            at = (
                chance.choice(marks) + chance.randrange(64) if chance.random() < 0.7 else chance.randrange(len(content))
            )
            at = min(at, len(content) - 8)
            if chance.random() < 0.3:  # an address or a length of somewhere, nowhere, or beyond all bounds
                number = chance.choice([chance.choice(marks), 0, 8, len(content) - 1, 1 << 40, (1 << 64) - 1])
                damaged[at : at + 8] = struct.pack("<Q", number)
            else:
                damaged[at] = chance.randrange(256)
        read += survives(bytes(damaged))
    assert tries / 50 < read < tries * 0.98
    assert time.perf_counter() - start < 200, "a guard against hanging: this takes ten seconds"


def _all(content: bytes, mark: bytes) -> Iterator[int]:
    at = content.find(mark)
    while at >= 0:
        yield at
        at = content.find(mark, at + 1)


@pytest.mark.parametrize("sample", ["keras 2", "old structures", "new structures"])
def test_every_truncation_raises_one_kind_of_error(sample: str) -> None:
    content = samples()[sample]
    for length in range(0, len(content) - 1, max(len(content) // 100, 1)):
        assert not survives(content[:length])


def test_groups_that_hold_one_another_twice_end_at_the_count_of_parts() -> None:
    def build(file: h5py.File) -> None:
        file.create_group("0")
        for depth in range(1, 40):
            group = file.create_group(str(depth))
            group["a"] = group["b"] = file[str(depth - 1)]

    content = written(build)
    with pytest.raises(ModelError, match="parts refer to one another endlessly"):
        walk_all(content)
    assert HDF5_SPARE_PARTS + len(content) // HDF5_BYTES_A_PART < 1 << 17


def walk_all(content: bytes) -> None:
    with opened(Memory(content), "m.h5") as root:
        for _ in root.walk():
            pass


def test_a_group_within_itself_is_an_error() -> None:
    def build(file: h5py.File) -> None:
        group = file.create_group("group")
        group["self"] = group

    with pytest.raises(ModelError, match="nest more than 64 deep"):
        walk_all(written(build))


def test_an_array_whose_values_lie_outside_the_file_is_an_error() -> None:
    content = bytearray(written(lambda file: file.create_dataset("values", data=np.arange(1000.0))))
    place = content.find(struct.pack("<Q", 1000), 100)
    while place >= 0:  # the extent, and the largest extent
        content[place : place + 8] = struct.pack("<Q", 1 << 50)
        place = content.find(struct.pack("<Q", 1000), place)
    with (
        opened(Memory(bytes(content)), "m.h5") as root,
        pytest.raises(ModelError, match="the values of values are cut"),
    ):
        next(root.walk()).dataset()
