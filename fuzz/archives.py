"""Mutators of Keras files: of the JSON that describes a network, of the zip records around it, of the HDF5 within."""

from __future__ import annotations

import io
import json
import re
import struct
import warnings
import zipfile
from collections.abc import Iterator
from random import Random
from typing import Any

from fuzz import values

STRUCTURES = re.compile(rb"\x89HDF\r\n\x1a\n|TREE|HEAP|SNOD|GCOL|OHDR|OCHK|FRHP|FHDB|FHIB|BTHD|BTLF|BTIN|FSHD|FSSE")
"""What the structures of an HDF5 file begin with (HDF5 File Format Specification 3.0)."""

LARGEST_COPY = 1_000_000
"""Bytes of JSON that one mutation adds."""

LARGEST_UNPACKED = 1 << 24

METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


def mutate(random: Random, content: bytes, donor: bytes) -> bytes:
    """Return a mutant of a `.keras` archive or of an HDF5 file."""
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return damaged_hdf5(random, content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > LARGEST_UNPACKED:  # those that pack a gigabyte are not unpacked here either
        return _damaged_records(random, content)
    members = members_of(content)
    for _ in range(random.choice((1, 1, 2, 3))):
        way = random.random()
        if way < 0.65:
            _change_json(random, members, donor)
        elif way < 0.85:
            for name in [name for name in members if name.endswith(".h5")][:1]:
                members[name] = damaged_hdf5(random, members[name])
        else:
            _change_members(random, members)
    packed = pack(random, members)
    return _damaged_records(random, packed) if random.random() < 0.15 else packed


def members_of(content: bytes) -> dict[str, bytes]:
    """Return the content of each member."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(random: Random, members: dict[str, bytes]) -> bytes:
    """Return an archive of `members`, mostly written as Keras writes it."""
    packed = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(packed, "w") as archive:
        warnings.simplefilter("ignore")  # a name said twice is meant
        for name, content in members.items():
            method = random.choice(METHODS) if random.random() < 0.1 else random.choice(METHODS[:2])
            archive.writestr(zipfile.ZipInfo(name or "x", (2020, 1, 1, 0, 0, 0)), content, method)
            if random.random() < 0.01:
                archive.writestr(name or "x", values.damaged(random, content))
    return packed.getvalue()


def damaged_hdf5(random: Random, content: bytes) -> bytes:
    """Return an HDF5 file with numbers changed close behind the beginnings of its structures, or words in it."""
    if random.random() < 0.1:
        return values.damaged(random, content)
    bytes_ = bytearray(content)
    found = [match.start() for match in STRUCTURES.finditer(content)] or [0]
    messages = [match.start() for match in re.finditer(rb"\x01\x00[\x01-\x40]\x00", content[:200_000])]
    for _ in range(random.choice((1, 1, 2, 3, 6))):
        way = random.random()
        start = random.choice(messages if messages and way < 0.4 else found)
        at = min(start + random.randrange(96), len(bytes_) - 8)
        if way > 0.9:
            words = [match.span() for match in re.finditer(rb"[a-zA-Z_]{4,40}", content[:200_000])]
            if words:
                begin, end = random.choice(words)
                drawn = values.word(random).encode("utf-8", "replace")[: end - begin]
                bytes_[begin : begin + len(drawn)] = drawn
            continue
        width = random.choice((1, 1, 2, 4, 8))
        old = int.from_bytes(bytes_[at : at + width], "little")
        new = old ^ (1 << random.randrange(8 * width)) if random.random() < 0.3 else values.integer(random, old)
        if random.random() < 0.15:
            new = random.choice(found)  # an address: a structure then contains itself
        bytes_[at : at + width] = (new % (1 << 8 * width)).to_bytes(width, "little")
    return bytes(bytes_)


def _change_json(random: Random, members: dict[str, bytes], donor: bytes) -> None:
    name = "config.json" if random.random() < 0.95 or "metadata.json" not in members else "metadata.json"
    try:
        tree: Any = json.loads(members[name])
    except (KeyError, ValueError, RecursionError):
        members[name] = values.word(random).encode("utf-8", "replace")
        return
    for _ in range(random.choice((1, 1, 2, 4))):
        tree = _mutant(random, tree, donor)
    written = json.dumps(tree, ensure_ascii=random.random() < 0.5).encode("utf-8", "replace")
    if random.random() < 0.04:
        written = values.damaged(random, written)
    if random.random() < 0.03:
        written = _odd_numbers(random, written)
    members[name] = written


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each container within `tree` with each of its keys or indices."""
    stack = [tree]
    while stack:
        held = stack.pop()
        keys = list(held) if isinstance(held, dict) else range(len(held)) if isinstance(held, list) else ()
        for key in keys:
            yield held, key
            if isinstance(held[key], (dict, list)):
                stack.append(held[key])


def _mutant(random: Random, tree: Any, donor: bytes) -> Any:
    places = list(_places(tree))
    if not places:
        return _drawn(random)
    held, key = random.choice(places)
    way = random.randrange(10)
    if way == 0:
        del held[key]
    elif way == 1 and isinstance(held, dict):
        held[random.choice((values.word(random), random.choice(places)[1]))] = held.pop(key)
    elif way == 2:
        other, place = random.choice(places)
        held[key] = other[place] if not isinstance(other[place], (dict, list)) else json.loads(json.dumps(other[place]))
    elif way == 3 and isinstance(held, list):
        most = 1 + LARGEST_COPY // len(json.dumps(held[key]))  # copies of copies are soon gigabytes
        held[key:key] = [held[key]] * min(random.choice((1, 1, 2, 50, 2000)), most)
    elif way == 4:
        for _ in range(random.choice((1, 1, 2, 400))):
            held[key] = [held[key]] if random.random() < 0.5 else {"class_name": "Wrapped", "config": held[key]}
    elif way == 5 and donor:
        found = list(_places(json.loads(members_of(donor).get("config.json", b"{}"))))
        same = [(there, at) for there, at in found if at == key] or found
        if same:
            there, at = random.choice(same)
            held[key] = there[at]
    elif way == 6 and isinstance(held[key], str):
        classes = [there[at] for there, at in places if at == key and isinstance(there[at], str)]
        held[key] = random.choice(classes) if random.random() < 0.7 else values.word(random)
    elif isinstance(held[key], (int, float)) and random.random() < 0.8:
        near = held[key] if isinstance(held[key], int) else 0
        held[key] = values.integer(random, near) if random.random() < 0.8 else values.real(random)
    else:
        held[key] = _drawn(random)
    return tree


def _drawn(random: Random) -> Any:
    way = random.randrange(9)
    if way < 3:
        return values.integer(random)
    if way == 3:
        return values.real(random)
    if way == 4:
        return values.word(random)
    if way == 5:
        return random.choice((None, True, False))
    if way == 6:
        return [values.integer(random) for _ in range(random.choice((0, 1, 2, 3, 4, 40)))]
    if way == 7:
        return random.choice(([], {}, [[]], {"": {}}, [None], {"class_name": "Conv2D", "config": {}}))
    return random.choice((10**30, -(10**400), 1e308, "same", "valid", "channels_first", "__keras_tensor__"))


def _odd_numbers(random: Random, written: bytes) -> bytes:
    """Return JSON with a number as no JSON writer would write it, or nested beyond reason."""
    numbers = [match.span() for match in re.finditer(rb"(?<=[ :\[,])\d+", written)]
    if not numbers:
        return written
    begin, end = random.choice(numbers)
    deep = random.choice((500, 5000, 100_000))
    odd = random.choice((b"1e999", b"-1e999", b"NaN", b"Infinity", b"9" * 5000, b"0x10", b"01", b"[" * deep,
                         b"[" * deep + b"]" * deep, b'{"a":' * deep + b"1" + b"}" * deep, b'"\\ud800"'))  # fmt: skip
    return written[:begin] + odd + written[end:]


def _change_members(random: Random, members: dict[str, bytes]) -> None:
    name = random.choice(sorted(members))
    way = random.randrange(5)
    if way == 0:
        del members[name]
        members.setdefault("rest", b"")
    elif way == 1:
        members[random.choice(("../x", "/x", "assets/", "config.json ", "Config.json", "a" * 3000, "x\\y"))] = b"x"
    elif way == 2:
        members[name] = random.choice(
            (b"", b"{}", b"[]", b"null", b"\x00" * 100, values.damaged(random, members[name]))
        )
    elif way == 3:
        members[name] += random.choice((b" ", b"\x00")) * random.choice(
            (10, 100_000, 20_000_000 if random.random() < 0.1 else 1)
        )
    else:
        other = random.choice(sorted(members))
        members[name], members[other] = members[other], members[name]


def _damaged_records(random: Random, packed: bytes) -> bytes:
    """Return the archive with numbers changed in the records of its members."""
    bytes_ = bytearray(packed)
    found = [match.start() for match in re.finditer(rb"PK(\x01\x02|\x03\x04|\x05\x06|\x06\x06|\x06\x07)", packed)]
    for _ in range(random.choice((1, 1, 2, 3))):
        at = min(random.choice(found) + random.randrange(4, 46), len(bytes_) - 4)
        width = random.choice((1, 2, 2, 4))
        new = values.integer(random, int.from_bytes(bytes_[at : at + width], "little"))
        bytes_[at : at + width] = struct.pack("<Q", new % (1 << 8 * width))[:width]
    if random.random() < 0.1:
        bytes_[:0] = random.randbytes(random.choice((1, 30, 3000)))
    return values.damaged(random, bytes(bytes_)) if random.random() < 0.2 else bytes(bytes_)
