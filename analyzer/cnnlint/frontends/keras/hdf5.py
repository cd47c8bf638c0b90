"""HDF5 files and HDF5 members of archives: the only module that imports h5py."""

# h5py has no type stubs.
# pyright: reportMissingTypeStubs=false, reportAttributeAccessIssue=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from __future__ import annotations

import mmap
import re
import shutil
import tempfile
import zipfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
from h5py import h5a, h5d, h5g, h5l, h5o
from msgspec import Struct

from cnnlint.errors import ModelError
from cnnlint.frontends.keras.byte_range import ByteRange
from cnnlint.frontends.keras.source_range import SourceRange

if TYPE_CHECKING:
    from cnnlint.frontends.onnx.source import ByteSource

MAGIC = b"\x89HDF\r\n\x1a\n"

MAX_UNPACKED = 1 << 32
"""A compressed member larger than this is read only if it does not claim to be much larger than what is stored."""

MAX_EXPANSION = 100
"""How much larger; weights, being noise, hardly shrink at all."""

MAX_DEPTH = 64
"""Groups within groups: more is a cycle."""


class Hdf5Source(Struct, frozen=True, gc=False):
    """Where an HDF5 file lies.

    Attributes:
        path: Of the file on disk.
        shown: The path as the user wrote it, for messages.
        offset: Where it starts in the file on disk.
        length: Its bytes; None for all to the end.
        member: Name of the compressed zip member that it is; "" if it is not compressed.
        content: The bytes that are read instead of the file on disk, where there is none.
    """

    path: str
    shown: str
    offset: int = 0
    length: int | None = None
    member: str = ""
    content: ByteSource | None = None


class Dataset(Struct, frozen=True, gc=False):
    """A dataset's path, shape and element type."""

    path: str
    shape: tuple[int, ...]
    dtype: str


@contextmanager
def opened(source: Hdf5Source) -> Generator[Any]:
    """Open an HDF5 file read-only as an `h5py.File`, and close it for certain.

    Raises:
        ModelError: It is damaged or cut off, or it unpacks to far more than is stored.
    """
    with ExitStack() as stack:
        content = _content(source, stack)
        try:
            # Closed by the `finally` below, so that an error of closing does not hide another.
            file = h5py.File(content, "r")
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise _failed(content) or ModelError("its HDF5 part is damaged or cut off", path=source.shown) from error
        try:
            yield file
        except (OSError, RuntimeError, KeyError, ValueError, TypeError, UnicodeDecodeError) as error:
            raise _failed(content) or ModelError(
                f"its HDF5 part is damaged: {_clause(error)}", path=source.shown
            ) from error
        finally:
            file.close()


def _content(source: Hdf5Source, stack: ExitStack) -> Any:
    """Return what h5py opens: a path, or a file-like object that `stack` closes."""
    if source.content is not None:
        return stack.enter_context(SourceRange(source.content, source.offset, source.length))
    if source.member:
        return _unpacked(source, stack)
    if source.offset == 0 and source.length is None:
        return source.path
    handle = stack.enter_context(Path(source.path).open("rb"))  # noqa: SIM115 - the stack closes it
    mapped = stack.enter_context(mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ))
    view = stack.enter_context(memoryview(mapped))
    length = len(view) - source.offset if source.length is None else source.length
    return stack.enter_context(ByteRange(view, source.offset, length))


def _failed(content: Any) -> ModelError | None:
    """Return why the bytes could not be had, which HDF5 calls a damaged file."""
    return content.failure if isinstance(content, SourceRange) else None


def _unpacked(source: Hdf5Source, stack: ExitStack) -> Any:
    archive = stack.enter_context(zipfile.ZipFile(source.path))
    info = archive.getinfo(source.member)
    if info.file_size > MAX_UNPACKED and info.file_size > MAX_EXPANSION * info.compress_size:
        raise ModelError(
            f"{source.member} claims {info.file_size:,} bytes but only {info.compress_size:,} are stored",
            path=source.shown,
        )
    target = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
    try:
        with archive.open(info) as packed:
            shutil.copyfileobj(packed, target, 1 << 20)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise ModelError(f"{source.member} cannot be unpacked: {_clause(error)}", path=source.shown) from error
    return target


def walk(group: Any, shown: str, path: str = "", *, leave_out: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yield (path, low-level object id) of all groups and datasets below `group`, numbered names in order.

    Links are never followed out of the file: soft and external ones are errors.

    Args:
        group: An `h5py.h5g.GroupID`.
        shown: The file's path for messages.
        path: Of the group.
        leave_out: Names of groups directly below that are not entered.

    Raises:
        ModelError: A link is soft or external, or groups nest too deeply.
    """
    if path.count("/") > MAX_DEPTH:
        raise ModelError(f"HDF5 groups nest more than {MAX_DEPTH} deep", path=shown)
    links = group.links
    for raw in sorted(group, key=_natural):
        name = raw.decode()
        if name in leave_out:
            continue
        if links.get_info(raw).type != h5l.TYPE_HARD:
            raise ModelError(f"the HDF5 link {path}/{name} leads elsewhere; such links are not followed", path=shown)
        item = h5o.open(group, raw)
        below = f"{path}/{name}" if path else name
        if isinstance(item, h5g.GroupID):
            yield below, item
            yield from walk(item, shown, below)
        elif isinstance(item, h5d.DatasetID):
            yield below, item


def is_dataset(item: Any) -> bool:
    """Return whether a low-level object is a dataset, and not a group."""
    return isinstance(item, h5d.DatasetID)


def root(file: Any) -> Any:
    """Return the low-level root group of an `h5py.File`."""
    return h5o.open(file.id, b"/")


def checked(file: Any, dataset: Dataset, shown: str) -> tuple[Any, int | None]:
    """Return an `h5py.Dataset` that is safe to read, and where its values start if they lie in one piece.

    Raises:
        ModelError: The values lie in other files, or it claims far more than is stored.
    """
    found = file[dataset.path]
    plist = found.id.get_create_plist()
    if plist.get_external_count() or plist.get_layout() == h5d.VIRTUAL:
        raise ModelError(f"the values of {dataset.path} lie in other files, which are not read", path=shown)
    stored, claimed = found.id.get_storage_size(), found.size * found.dtype.itemsize
    if claimed > MAX_UNPACKED and claimed > MAX_EXPANSION * stored:
        raise ModelError(f"{dataset.path} claims {claimed:,} bytes but stores {stored:,}", path=shown)
    return found, None if file.userblock_size else found.id.get_offset()


def describe(path: str, dataset: Any) -> Dataset:
    """Return the record of an `h5py.h5d.DatasetID`; Keras notes the type of what HDF5 has no type for."""
    dtype = dataset.dtype
    name = dtype.name
    if dtype.kind == "V" and h5a.exists(dataset, b"dtype"):
        name = str(_attribute(dataset, b"dtype"))
    elif dtype.kind in "OSU":
        name = "string"
    return Dataset(path, tuple(dataset.shape), name)


def text_attribute(item: Any, name: bytes) -> str | None:
    """Return a text attribute of a low-level group or dataset; None if there is none."""
    return str(_attribute(item, name)) if h5a.exists(item, name) else None


def _attribute(item: Any, name: bytes) -> object:
    value = h5py.AttributeManager(_Holder(item))[name.decode()]
    return value.decode() if isinstance(value, bytes) else value


class _Holder:
    """What h5py's attribute manager wants of an object."""

    def __init__(self, item: Any) -> None:
        self.id = item


def _natural(name: bytes) -> tuple[tuple[int, int | bytes], ...]:
    return tuple((0, int(part)) if part.isdigit() else (1, part) for part in re.split(rb"(\d+)", name) if part)


def _clause(error: BaseException) -> str:
    return str(error).strip("'\"").splitlines()[0] if str(error) else type(error).__name__
