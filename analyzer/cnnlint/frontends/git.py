"""Models as a git revision has them: their blobs, Git LFS objects and external data, read without a checkout.

An address is `git:REVISION:PATH`, with the path relative to the top folder of the repository that the working directory
lies in, or to the working directory if it starts with a dot. Git is asked for one object at a time, by `git cat-file`,
which fetches what a partial clone left out.
"""

from __future__ import annotations

import os
import posixpath
import re
import shutil
from functools import cache
from typing import TYPE_CHECKING

from msgspec import Struct

from cnnlint.errors import MANY, ModelError, UnsupportedModelError, closest
from cnnlint.frontends.sources import LocalFile, Memory

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cnnlint.frontends.sources import ByteSource
    from cnnlint.graph.graph import Graph
    from cnnlint.graph.tensor import Shape

PREFIX = "git:"

ADDRESS = re.compile(r"git:(?P<revision>(?:\{[^}]*\}|[^:{])+)(?::(?P<path>.*))?", re.DOTALL)
"""`HEAD@{10:30}` and `HEAD^{/fix: typo}` are revisions with colons of their own."""

POINTER = re.compile(rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-[^\n]*\n)*oid sha256:([0-9a-f]{64})\n")
"""https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md"""

LONGEST_POINTER = 1024
"""Bytes; the specification of Git LFS allows no more."""

ENTRY = re.compile(rb"[0-9a-f]{40,64} (blob|tree) (\d+)\n")


class Address(Struct, frozen=True):
    """A file or folder of a revision.

    Attributes:
        root: The top folder of the repository.
        revision: As the user wrote it.
        path: Relative to `root`, with slashes; "" for `root` itself.
    """

    root: str
    revision: str
    path: str

    def __str__(self) -> str:
        return f"{PREFIX}{self.revision}" + (f":{self.path}" if self.path else "")

    @property
    def place(self) -> str:
        """The path that it has in the working tree."""
        return os.path.normpath(os.path.join(self.root, self.path))

    @property
    def object(self) -> str:
        """What git calls it."""
        return f"{self.revision}:{self.path}"

    def beside(self, path: str) -> Address:
        """Return the address of another path of the same revision."""
        return Address(self.root, self.revision, path)


def parse(written: str) -> Address:
    """Return the address that `written` is; `git:REVISION` alone is the whole tree.

    Raises:
        ModelError: It names no revision, the path leaves the repository, or the working directory lies in none.
    """
    matched = ADDRESS.fullmatch(written)
    if matched is None or matched["revision"].startswith("-") or "\n" in written or "\0" in written:
        remedy = "write git:REVISION:PATH, as in git:main:models/net.onnx"
        raise ModelError("names no git revision", path=written, remedy=remedy)
    root = _root(os.getcwd())
    if not root:
        raise ModelError("the working directory lies in no git repository", path=written)
    path = matched["path"] or ""
    if path.split("/")[0] in {".", ".."}:
        here = os.path.relpath(os.path.realpath(os.getcwd()), root).replace(os.sep, "/")
        path = posixpath.join(here, path)
    path = posixpath.normpath(path) if path else ""
    if path.startswith(("../", "/")) or path == "..":
        raise ModelError("lies outside of the repository", path=written, remedy=f"paths are relative to {root}")
    return Address(root, matched["revision"], "" if path == "." else path)


def address_of(revision: str, path: str) -> str:
    """Return the address of what `revision`, written as `git:REVISION`, has at the path of a file or folder.

    Raises:
        ModelError: The path lies outside of the repository.
    """
    whole = parse(revision)
    below = os.path.relpath(os.path.realpath(path), whole.root).replace(os.sep, "/")
    if below.split("/")[0] == "..":
        raise ModelError(f"lies outside of the repository {whole.root}", path=path, remedy="run cnnlint in its own")
    return str(whole.beside("" if below == "." else below))


def load(written: str, *, inputs: Mapping[str, Shape] | None = None) -> Graph:
    """Read the graph of a model of a revision: Keras if its name ends so, ONNX otherwise.

    Args:
        written: Its address.
        inputs: Shapes by input name that replace the file's, in its own layout.

    Raises:
        UnsupportedModelError: It holds no model, or is a folder.
        ModelError: Git has no such file, its LFS object is not fetched, or it is not a model.
    """
    from cnnlint.frontends.keras import KERAS_SUFFIXES

    address = parse(written)
    try:
        source = read(address)
        if address.path.lower().endswith(KERAS_SUFFIXES):
            from cnnlint.frontends.keras import load_source

            return load_source(source, str(address), inputs=inputs)
        from cnnlint.frontends.onnx.raise_graph import raise_model
        from cnnlint.frontends.onnx.skeleton import read_source

        return raise_model(read_source(source, RevisionFolder(address), str(address)), inputs)
    except ModelError as error:
        error.path = error.path or str(address)
        raise


class RevisionFolder:
    """The folder of a model of a revision, with its external data."""

    def __init__(self, model: Address) -> None:
        self._model = model
        self._files: dict[str, ByteSource] = {}

    def files(self) -> Iterable[ByteSource]:
        """Return the files that were requested, each once."""
        return self._files.values()

    @property
    def locations(self) -> tuple[str, ...]:
        """The paths of these files, relative to the folder."""
        return tuple(self._files)

    def file(self, location: str, tensor: str) -> ByteSource:
        """Return the data file at `location`.

        Raises:
            ModelError: The revision has no such file, or it is outside of the model's folder.
        """
        from cnnlint.frontends.onnx.external import leaves

        if leaves(location):
            cause = f"tensor {tensor!r} refers to external data outside the model's folder: {location!r}"
            raise ModelError(cause, path=str(self._model))
        path = posixpath.normpath(location.replace("\\", "/"))
        if path not in self._files:
            data = self._model.beside(posixpath.join(posixpath.dirname(self._model.path), path))
            try:
                self._files[path] = read(data)
            except ModelError as error:
                cause = f"the external data file {location!r}, which holds tensor {tensor!r}, {error.cause}"
                raise ModelError(cause, path=str(self._model), remedy=error.remedy) from error
        return self._files[path]


class Blob:
    """A file of a revision, whose bytes are asked for when they are first read.

    Args:
        address: The file.
        size: Its bytes.
    """

    path = None

    def __init__(self, address: Address, size: int) -> None:
        self.size = size
        self._address = address
        self._memory: Memory | None = None

    def read(self, offset: int, length: int) -> bytes:
        """Return a copy of `length` bytes from `offset`, or fewer at the end of the file."""
        return self._held().read(offset, length)

    def view(self, offset: int, length: int) -> memoryview:
        """Return the bytes without copying."""
        return self._held().view(offset, length)

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill `buffer` from `offset`, and return the number of bytes read."""
        return self._held().read_into(offset, buffer)

    def _held(self) -> Memory:
        if self._memory is None:
            self._memory = Memory(_content(self._address))
        return self._memory


def read(address: Address) -> ByteSource:
    """Return the file at `address`; of a Git LFS pointer the object that it points to, where that lies.

    Raises:
        UnsupportedModelError: It is a folder.
        ModelError: There is none, or its LFS object is not fetched.
    """
    kind, size = _entry(address)
    if kind == "tree":
        raise UnsupportedModelError("is a folder, not a model file", path=str(address))
    if size > LONGEST_POINTER:
        return Blob(address, size)
    data = _content(address)
    return lfs_object(data, address.root, str(address)) or Memory(data)


def lfs_object(data: bytes, folder: str, path: str) -> LocalFile | None:
    """Return the object that the Git LFS pointer `data` points to; None if it is no pointer.

    Args:
        data: The content of the file, or its first 1,024 bytes.
        folder: One of the repository's.
        path: What messages call the file.

    Raises:
        UnsupportedModelError: The object is not fetched.
    """
    if (matched := POINTER.match(data[:LONGEST_POINTER])) is None:
        return None
    oid = matched[1].decode()
    stored = os.path.join(_lfs_storage(folder), "objects", oid[:2], oid[2:4], oid)
    try:
        return LocalFile(path, os.stat(stored).st_size, opened=stored)
    except OSError:
        cause = "is a Git LFS pointer, and the object that it points to is not fetched"
        raise UnsupportedModelError(cause, path=path, remedy="git lfs fetch ORIGIN REVISION fetches it") from None


def kind_of(written: str) -> str:
    """Return "savedmodel" for the folder of a SavedModel or the `saved_model.pb` in it, else "keras" or "onnx"."""
    from cnnlint.frontends.keras import KERAS_SUFFIXES

    name = posixpath.basename(written.partition(PREFIX)[2])
    if name.lower().endswith(KERAS_SUFFIXES):
        return "keras"
    if name.lower().endswith(".onnx"):
        return "onnx"
    address = parse(written)
    return "savedmodel" if name == "saved_model.pb" or _is_tree(address) else "onnx"


def files(address: Address) -> tuple[str, ...]:
    """Return the paths of all files in a folder of a revision, relative to the repository, sorted.

    Raises:
        ModelError: There is no such folder.
    """
    _entry(address)
    tree = ("ls-tree", "-r", "-z", "--name-only", "--full-tree", address.object)
    found = _git(address.root, *tree, about=str(address)).split(b"\0")
    return tuple(posixpath.join(address.path, os.fsdecode(path)) for path in found if path)


def is_folder(address: Address) -> bool:
    """Return whether the revision has a folder there.

    Raises:
        ModelError: It has nothing there.
    """
    return _entry(address)[0] == "tree"


def tracked(folder: str) -> tuple[str, ...] | None:
    """Return the files that git tracks in `folder` and below it, relative to it; None if it is in no repository."""
    if not _root(folder):
        return None
    found = _git(folder, "ls-files", "-z", about=folder).split(b"\0")
    return tuple(os.fsdecode(path) for path in found if path)


def exists(address: Address) -> bool:
    """Return whether the revision has a file or folder there."""
    return ENTRY.fullmatch(_cat_file(address, "--batch-check")) is not None


def check(address: Address) -> None:
    """Check that there is such a revision.

    Raises:
        ModelError: There is none.
    """
    _entry(address.beside(""))


def check_out(written: str, folder: str) -> str:
    """Write a model with all that belongs to it below `folder`, for whoever takes paths, and return its path there.

    Raises:
        ModelError: It cannot be read, or cannot be written there.
    """
    address = parse(written)
    kind = kind_of(written)
    if kind == "savedmodel":
        top = address if _is_tree(address) else address.beside(posixpath.dirname(address.path))
        wanted, result = files(top), top.path
    else:
        wanted, result = (address.path, *_external_data(address, kind)), address.path
    try:
        for path in wanted:
            target = os.path.join(folder, *path.split("/"))
            os.makedirs(os.path.dirname(target), exist_ok=True)
            _write(read(address.beside(path)), target)
    except OSError as error:
        raise ModelError(f"cannot be checked out: {error.strerror}", path=written) from error
    return os.path.join(folder, *result.split("/"))


def _external_data(address: Address, kind: str) -> Iterable[str]:
    if kind != "onnx":
        return ()
    from cnnlint.frontends.onnx.skeleton import read_source

    folder = RevisionFolder(address)
    read_source(read(address), folder, str(address))
    return [posixpath.join(posixpath.dirname(address.path), location) for location in folder.locations]


def _write(source: ByteSource, target: str) -> None:
    if isinstance(source, LocalFile):
        shutil.copyfile(source.opened, target)  # a link would lead out of the model's folder, which runtimes refuse
        return
    with open(target, "xb") as file:
        file.write(source.view(0, source.size))


def _is_tree(address: Address) -> bool:
    return exists(address) and is_folder(address)


def _entry(address: Address) -> tuple[str, int]:
    """Return "blob" or "tree", and the size."""
    head = _cat_file(address, "--batch-check")
    matched = ENTRY.fullmatch(head)
    if matched is None:
        raise _missing(address)
    return matched[1].decode(), int(matched[2])


def _content(address: Address) -> bytes:
    said = _cat_file(address, "--batch")
    matched = ENTRY.match(said)
    if matched is None or len(said) - matched.end() - 1 != int(matched[2]):
        raise _missing(address)
    return said[matched.end() : -1]


def _cat_file(address: Address, how: str) -> bytes:
    asked = os.fsencode(f"{address.object}\n")
    return _git(address.root, "cat-file", how, "--follow-symlinks", about=str(address), asked=asked)


def _missing(address: Address) -> ModelError:
    known = _git(
        address.root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{address.revision}^{{tree}}",
        about=str(address), may_fail=True,
    )  # fmt: skip
    if not known:
        remedy = "git fetch it; a shallow clone, as in CI, has one commit only"
        cause = f"there is no revision {address.revision!r} in this repository"
        return ModelError(cause, path=str(address), remedy=remedy)
    return ModelError("is not there: the revision has no such file", path=str(address), remedy=_meant(address))


def _meant(address: Address) -> str | None:
    """Return "did you mean ADDRESS?" for a path that the revision does not have, folder by folder."""
    meant = address.beside("")
    for part in address.path.split("/"):
        listed = _git(
            address.root, "ls-tree", "-z", "--name-only", "--full-tree", meant.object, about=str(address), may_fail=True
        )
        beside = [os.fsdecode(name) for name in listed.split(b"\0") if name]
        found = part if part in beside else closest(part, beside) if len(beside) < MANY else None
        if found is None:
            return None
        meant = address.beside(posixpath.join(meant.path, found))
    return None if meant == address else f"did you mean {meant}?"


@cache
def _root(folder: str) -> str:
    """Return the top folder of the repository that `folder` lies in; "" if it lies in none."""
    said = _git(folder, "rev-parse", "--show-toplevel", about="git:", may_fail=True).removesuffix(b"\n")
    return os.path.realpath(os.fsdecode(said)) if said else ""


def _lfs_storage(folder: str) -> str:
    shared = os.fsdecode(_git(folder, "rev-parse", "--git-common-dir", about=folder).removesuffix(b"\n"))
    shared = os.path.normpath(os.path.join(folder, shared))
    chosen = _git(folder, "config", "--get", "lfs.storage", about=folder, may_fail=True).removesuffix(b"\n")
    return os.path.join(shared, os.fsdecode(chosen) if chosen else "lfs")


def _git(folder: str, *command: str, about: str, asked: bytes = b"", may_fail: bool = False) -> bytes:
    """Return what git prints on a question about the repository of `folder`.

    Raises:
        ModelError: There is no git, or it fails and may not.
    """
    import subprocess

    # what a hook of git sets is about the repository that it runs in
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(  # noqa: S603 - a revision cannot be taken for an option
            ("git", *command),  # noqa: S607 - the git that the user uses
            input=asked, cwd=folder, env=environment, capture_output=True, check=False,
        )  # fmt: skip
    except OSError as error:
        raise ModelError("git: addresses need git, which is not installed", path=about) from error
    if done.returncode and not may_fail:
        said = done.stderr.decode("utf-8", "replace").strip().removeprefix("fatal: ")
        raise ModelError(f"git cannot tell: {' '.join(said.split())}", path=about)
    return b"" if done.returncode else done.stdout
