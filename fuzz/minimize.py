"""Smaller inputs with the same fault, by delta debugging over the structure of the input.

What can be left out is asked of the structure: fields of messages, keys and elements of JSON, members of an archive,
lines of a configuration; in ever smaller runs, as ddmin does (Zeller and Hildebrandt, 2002). Numbers then become
small, texts short and blobs empty, one at a time. It ends when nothing more can go, or when time is up.
"""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from random import Random
from typing import Any, TypeVar

from fuzz import archives, wire

Item = TypeVar("Item")
Holds = Callable[[bytes], bool]


def minimized(kind: str, content: bytes, holds: Holds, *, seconds: float = 60) -> bytes:
    """Return the smallest input found for which `holds`.

    Args:
        kind: "onnx", "archive" or "config".
        content: An input for which it holds.
        holds: Whether an input has the fault.
        seconds: When to be content.
    """
    ends = time.monotonic() + seconds

    def in_time(candidate: bytes) -> bool:
        return time.monotonic() < ends and holds(candidate)

    if kind == "onnx":
        return _onnx(content, in_time)
    if kind == "config":
        return b"\n".join(_fewer(content.split(b"\n"), lambda lines: in_time(b"\n".join(lines))))
    return _archive(content, in_time) if zipfile.is_zipfile(BytesIO(content)) else content


def _fewer(items: Sequence[Item], holds: Callable[[list[Item]], bool]) -> list[Item]:
    """Return the items that cannot be left out, in runs of half of them, a quarter of them, down to one."""
    kept = list(items)
    size = max(1, len(kept) // 2)
    while kept and size:
        at = 0
        while at < len(kept):
            candidate = kept[:at] + kept[at + size :]
            if holds(candidate):
                kept = candidate
            else:
                at += size
        size //= 2
    return kept


def _onnx(content: bytes, holds: Holds) -> bytes:
    model = wire.parse(content)
    if model.encode() != content:  # framing that a tree does not keep is what matters
        return _bytes(content, holds)
    if model.tail and holds(wire.Model(model.root).encode()):
        model.tail = b""
    before = -1
    while before != (before := len(model.encode())) or before < 0:
        for message in list(_messages(model.root)):
            fields = message.fields

            def without(candidate: list[wire.Field], message: wire.Field = message) -> bool:
                whole, message.value = message.value, candidate
                if holds(model.encode()):
                    return True
                message.value = whole
                return False

            _fewer(list(fields), without)
        for field in [each for _, each in model.walk() if not each.message]:
            for simpler in _simpler(field):
                value, field.value = field.value, simpler
                if holds(model.encode()):
                    break
                field.value = value
        if len(model.encode()) >= before > 0:
            break
    return model.encode()


def _messages(root: wire.Field) -> Iterator[wire.Field]:
    """Yield all messages, those of the first floor first: what goes early takes much with it."""
    floor = [root]
    while floor:
        yield from floor
        floor = [each for message in floor for each in message.fields if each.message]


def _simpler(field: wire.Field) -> Iterator[Any]:
    """Yield simpler values of a leaf, the simplest first."""
    value = field.value
    if isinstance(value, int):
        yield from (small for small in (0, 1, 2, 8, 2**31, 2**62) if small < value)
    elif isinstance(value, list):
        yield from ([], value[:1], value[: len(value) // 2])
    elif len(value) > 1:
        yield b""
        if len(value) > 64:
            yield bytes(len(value))
            yield value[: len(value) // 2]


def _bytes(content: bytes, holds: Holds) -> bytes:
    pieces = [content[at : at + 16] for at in range(0, len(content), 16)]
    return b"".join(_fewer(pieces, lambda kept: holds(b"".join(kept))))


def _archive(content: bytes, holds: Holds) -> bytes:
    random = Random(0)
    members = archives.members_of(content)

    def packed(parts: dict[str, bytes]) -> bytes:
        return archives.pack(random, parts)

    if not holds(packed(members)):
        return content
    names = _fewer(list(members), lambda kept: holds(packed({name: members[name] for name in kept})))
    members = {name: members[name] for name in names}
    for name in names:
        try:
            tree = json.loads(members[name])
        except (ValueError, RecursionError):
            continue

        def written(name: str = name, tree: Any = tree) -> bytes:
            return packed({**members, name: json.dumps(tree).encode()})

        if holds(written()):
            _json(tree, lambda written=written: holds(written()))
            members[name] = json.dumps(tree).encode()
    return packed(members)


def _json(tree: Any, holds: Callable[[], bool]) -> None:
    """Take away what can go from the containers of `tree`, the outermost first."""
    floor = [tree]
    while floor:
        for held in floor:
            keys = list(held) if isinstance(held, dict) else list(range(len(held)))
            whole = dict(held) if isinstance(held, dict) else list(held)

            def only(kept: list[Any], held: Any = held, whole: Any = whole) -> bool:
                before = held.copy()
                held.clear()
                if isinstance(held, dict):
                    held.update({key: whole[key] for key in kept})
                else:
                    held.extend(whole[key] for key in kept)
                if holds():
                    return True
                held.clear()
                held.update(before) if isinstance(held, dict) else held.extend(before)
                return False

            _fewer(keys, only)
        floor = [
            each
            for held in floor
            for each in (held.values() if isinstance(held, dict) else held)
            if isinstance(each, (dict, list))
        ]
