"""The models that globs name in folders, object stores and hubs, one after the other as listings arrive.

A listing is never held as a whole: a page of a thousand names of S3, a folder of the other stores. So what a run takes
of memory does not grow with the store.
"""

# fsspec, s3fs and huggingface_hub have no types that hold, and are optional.
# pyright: reportMissingTypeStubs=false, reportMissingImports=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

from msgspec import Struct

from cnnlint.errors import ConfigError, ModelError, UnsupportedModelError, meant_path
from cnnlint.frontends import is_remote
from cnnlint.frontends.keras import KERAS_SUFFIXES
from cnnlint.frontends.remote.address import name_of, protocols, shown
from cnnlint.frontends.remote.place import S3, WEB, RemotePlace, answered

Item = TypeVar("Item")

REPETITIONS = 4
"""How often a request for a page of a listing is made again."""

SUFFIXES = (".onnx", *KERAS_SUFFIXES)

HASHES = ("ETag", "etag", "md5Hash", "content_md5", "oid", "blob_id")
"""What file systems call the hash, or the number, that a store gives what it holds."""

TIMES = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")
"""What they call the time of the last change."""

PIECES = re.compile(r"\*+|\?|\[!?\]?[^\]/]*\]|.", re.DOTALL)

MAGIC = re.compile(r"[*?[]")

WEB_MAGIC = re.compile(r"\*|\[")
"""A question mark begins the query of an address."""


class Listed(Struct, frozen=True):
    """A model as a listing shows it.

    Attributes:
        model: Its path or URL, as reports show it.
        address: The same with what is needed to open it, such as a signature.
        size: Bytes of the file; None if the listing does not say.
        stamp: What changes when the file does: the store's hash, or size and time; "" if nothing of the kind is known.
        host: The server that is asked for it; "" for this machine.
    """

    model: str
    address: str
    size: int | None
    stamp: str
    host: str = ""


class Pattern:
    """A path or URL, which may be a glob: `*` and `?` within a name, `**/` any number of folders, none included.

    A folder stands for the models in it and below it, one that a glob matches too.

    Args:
        written: As the user wrote it.

    Attributes:
        host: The server that is asked; "" for this machine.
        shown: The path or URL for display, without credentials.

    Raises:
        ConfigError: Its glob is in a place where none is understood.
    """

    def __init__(self, written: str) -> None:
        self.written = written
        local = written.removeprefix("file://") if written.startswith("file://") else written
        self.is_local = not is_remote(local)
        self.whole = os.path.abspath(local) if self.is_local else written.rstrip("/")
        is_web = not self.is_local and protocols(written)[-1] in WEB
        magic = WEB_MAGIC if is_web else MAGIC
        if self.is_local or is_web:
            self.shown = self.whole if self.is_local else shown(self.whole)
        else:  # only in HTTP does a question mark begin a query, whose signature is not shown
            self.shown = shown(self.whole.replace("?", "\0")).replace("\0", "?")
        found = magic.search(self.whole)
        if found is not None and "::" in written:
            raise ConfigError(f"{shown(written)}: archives are not searched", remedy="name the model in the archive")
        self.literal = self.whole if found is None else self.whole[: found.start()]
        self.is_glob = found is not None
        self.host = "" if self.is_local else _host(written)
        self._fits = re.compile(f"{_translated(self.shown)}(?:/.*)?", re.DOTALL)

    def fits(self, model: str) -> bool:
        """Return whether the pattern names `model`, or a folder that it is in."""
        return self._fits.fullmatch(model) is not None

    def wants(self, model: str) -> bool:
        """Return whether a file that a listing shows is one of the models that are meant."""
        below = model[len(self.literal if self.is_local else shown(self.literal)) :]
        hidden = any(part.startswith(".") for part in below.split("/"))
        return not hidden and model.lower().endswith(SUFFIXES) and self.fits(model)

    def entries(self) -> Iterator[Listed]:
        """Yield the models, in the order of the listing.

        Raises:
            ModelError: A listing fails, or there is no such file or folder.
            MissingExtraError: The protocol needs a package that is not installed.
        """
        if self.is_local:
            return _on_this_machine(self)
        protocol = protocols(self.written)[-1]
        if protocol == "hf":
            return _in_hub(self)
        return _in_bucket(self) if protocol in S3 and "::" not in self.written else _in_store(self)


def _translated(pattern: str) -> str:
    """Return the regular expression that a glob stands for."""
    parts = pattern.split("/")
    written = list[str]()
    for index, part in enumerate(parts):
        is_last = index == len(parts) - 1
        if part == "**":
            written.append(".*" if is_last else "(?:[^/]+/)*")
        else:
            written.append("".join(map(_piece, PIECES.findall(part))) + ("" if is_last else "/"))
    return "".join(written)


def _piece(piece: str) -> str:
    if piece.startswith("*"):
        return "[^/]*"
    if piece == "?":
        return "[^/]"
    if len(piece) > 2 and piece.startswith("["):
        inside = piece[1:-1].replace("\\", r"\\")
        return f"[^/{inside[1:]}]" if inside.startswith("!") else f"[{inside}]"
    return re.escape(piece)


def _host(url: str) -> str:
    protocol = protocols(url)[-1]
    return urlsplit(url.rsplit("::", maxsplit=1)[-1]).netloc.rpartition("@")[2] if protocol in WEB else protocol


def stamp_of(info: Mapping[str, Any]) -> str:
    """Return what tells whether a file has changed, of what a file system says of it; "" if nothing does."""
    for name in HASHES:
        if found := info.get(name):
            return f"etag:{str(found).strip(chr(34))}"
    size = info.get("size")
    for name in TIMES:
        when = info.get(name)
        if when is not None and size is not None:
            return f"{size} bytes, {when.isoformat() if isinstance(when, datetime) else when}"
    return ""


def _on_this_machine(pattern: Pattern) -> Iterator[Listed]:
    if not pattern.is_glob and not os.path.isdir(pattern.whole):
        try:
            status = os.stat(pattern.whole)
        except (OSError, ValueError):
            remedy = meant_path(pattern.written)
            raise ModelError("there is no such file or folder", path=pattern.written, remedy=remedy) from None
        yield _local_entry(pattern.whole, status)
        return
    top = pattern.whole if not pattern.is_glob else os.path.dirname(pattern.literal)
    waiting = [top]
    while waiting:
        try:
            found = os.scandir(waiting.pop())
        except OSError as error:
            raise ModelError(f"cannot be listed: {error.strerror}", path=pattern.written) from error
        with found:
            for entry in found:
                if entry.is_dir(follow_symlinks=False):
                    if not entry.name.startswith("."):
                        waiting.append(entry.path)
                elif pattern.wants(entry.path):
                    try:
                        yield _local_entry(entry.path, entry.stat())
                    except OSError:  # a broken link, or gone already
                        yield Listed(entry.path, entry.path, None, "")


def _local_entry(path: str, status: os.stat_result) -> Listed:
    return Listed(path, path, status.st_size, stamp_of({"size": status.st_size, "mtime": status.st_mtime_ns}))


def _in_bucket(pattern: Pattern) -> Iterator[Listed]:
    """Yield the objects of an S3 bucket, which lists them by a prefix, a thousand at a time."""
    place = RemotePlace(pattern.literal, repetitions=REPETITIONS)
    bucket, _, prefix = place.name.partition("/")
    if MAGIC.search(bucket) or pattern.literal.count("/") < 3:
        raise ConfigError(f"{pattern.written}: buckets are not searched for", remedy="name the bucket")
    scheme = pattern.literal.partition("://")[0]
    more: dict[str, str] = {}
    is_empty = True
    while True:
        asked = {"Bucket": bucket, "Prefix": prefix, **more}
        page = place.guarded(lambda asked=asked: place.system.call_s3("list_objects_v2", **asked))
        for each in page.get("Contents", ()):
            url = f"{scheme}://{bucket}/{each['Key']}"
            if pattern.wants(url) or (url == pattern.whole and not pattern.is_glob):
                is_empty = False
                yield Listed(url, url, each["Size"], stamp_of(each), pattern.host)
        if not page.get("IsTruncated"):
            break
        more = {"ContinuationToken": page["NextContinuationToken"]}
    if is_empty and not pattern.is_glob:
        raise ModelError("there is no such object, and no model below", path=shown(pattern.written))


def _in_store(pattern: Pattern) -> Iterator[Listed]:
    """Yield the files of any file system of fsspec, folder by folder."""
    if not pattern.is_glob and name_of(pattern.whole).lower().endswith(SUFFIXES):
        try:
            info = RemotePlace(pattern.written, repetitions=REPETITIONS).info()
        except UnsupportedModelError:
            raise
        except ModelError:  # whoever lints it learns why, and it is recorded
            info = {}
        yield Listed(shown(pattern.written), pattern.written, info.get("size"), stamp_of(info), pattern.host)
        return
    top = pattern.literal.rpartition("/")[0] if pattern.is_glob else pattern.whole
    place = RemotePlace(top, repetitions=REPETITIONS)
    walk = place.system.walk(place.name, detail=True, on_error="raise")
    for folder, _, files in _asked_one_by_one(pattern.written, walk):
        for name, info in files.items():
            below = f"{folder}/{name}".removeprefix(place.name.rstrip("/")).lstrip("/")
            url = f"{top.rstrip('/')}/{below}"  # file systems write their own names in other ways than the user
            if pattern.wants(shown(url)):
                yield Listed(shown(url), url, info.get("size"), stamp_of(info), pattern.host)


def _in_hub(pattern: Pattern) -> Iterator[Listed]:
    """Yield the files of repositories of Hugging Face's hub; a glob may stand for repositories of an owner."""
    api = answered(pattern.written, _hub, repetitions=0)
    owner, repository, *_ = (*pattern.whole.removeprefix("hf://").split("/", 2), "", "")
    if not owner or MAGIC.search(owner):
        raise ConfigError(f"{pattern.written}: owners are not searched for", remedy="write hf://OWNER/*")
    if repository and not MAGIC.search(repository):
        repositories: Iterable[str] = (f"{owner}/{repository}",)
    else:
        listed = _asked_one_by_one(pattern.written, api.list_models(author=owner))
        wanted = re.compile(_translated(repository or "*"))
        repositories = (each.id for each in listed if wanted.fullmatch(each.id.rpartition("/")[2]))
    for named in repositories:
        name, _, revision = named.partition("@")
        tree = api.list_repo_tree(name, recursive=True, revision=revision or None)
        for each in _asked_one_by_one(pattern.written, tree):
            url = f"hf://{named}/{each.path}"
            size = getattr(each, "size", None)  # a folder has none
            if size is not None and pattern.wants(url):
                held = getattr(each, "lfs", None)
                hashed = held.sha256 if held is not None else each.blob_id
                yield Listed(url, url, size, stamp_of({"etag": hashed}), pattern.host)


def _hub() -> Any:
    """Return the hub with the endpoint and the token that files are read with: fsspec's settings count."""
    from fsspec import filesystem
    from huggingface_hub import HfApi

    system = filesystem("hf")
    return HfApi(endpoint=system.endpoint, token=system.token)


def _asked_one_by_one(url: str, items: Iterable[Item]) -> Iterator[Item]:
    """Yield `items`, each of which may take a request, within the time limit."""
    iterator = iter(items)
    end = object()
    while True:
        item = answered(url, lambda: next(iterator, end), repetitions=0)
        if item is end:
            return
        yield cast("Item", item)
