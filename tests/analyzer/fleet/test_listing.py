"""Which models globs name, in folders, buckets and any other file system, and by what a change is noticed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from cnnlint.errors import ConfigError, ModelError
from cnnlint.fleet.listing import Pattern, stamp_of
from remote_models.file_server import serving
from remote_models.hub_server import TOKEN, hub, sha256

FILES = ("a.onnx", "x/b.onnx", "x/y/c.keras", "x/.hidden/d.onnx", ".e.onnx", "x/notes.txt", "x/y/f.H5", "xz/g.onnx")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"1")
    return tmp_path


@pytest.mark.parametrize(
    ("glob", "names"),
    [
        ("", {"a.onnx", "x/b.onnx", "x/y/c.keras", "x/y/f.H5", "xz/g.onnx"}),
        ("**/*.onnx", {"a.onnx", "x/b.onnx", "xz/g.onnx"}),
        ("*.onnx", {"a.onnx"}),
        ("x/**", {"x/b.onnx", "x/y/c.keras", "x/y/f.H5"}),
        ("x*", {"x/b.onnx", "x/y/c.keras", "x/y/f.H5", "xz/g.onnx"}),
        ("x/?.onnx", {"x/b.onnx"}),
        ("x?/[fg].onnx", {"xz/g.onnx"}),
        ("x/notes.txt", {"x/notes.txt"}),
    ],
)
@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_glob_names_models_in_any_number_of_folders_and_a_folder_all_in_it(
    folder: Path, glob: str, names: set[str], scheme: str
) -> None:
    found = [entry.model for entry in Pattern(f"{scheme}{folder}/{glob}".rstrip("/")).entries()]
    assert sorted(found) == sorted(str(folder / name) for name in names)


def test_the_same_holds_in_another_file_system(folder: Path) -> None:
    fsspec = pytest.importorskip("fsspec", reason="the extra remote is not installed")
    memory = fsspec.filesystem("memory")
    for name in FILES:
        memory.pipe_file(f"/listed/{name}", b"1")
    try:
        every = {entry.model for entry in Pattern("memory://listed").entries()}
        assert {name.rpartition("listed/")[2] for name in every} == {
            "a.onnx", "x/b.onnx", "x/y/c.keras", "x/y/f.H5", "xz/g.onnx",
        }  # fmt: skip
        some = [entry.model for entry in Pattern("memory://listed/**/*.onnx").entries()]
        assert sorted(name.rpartition("listed/")[2] for name in some) == ["a.onnx", "x/b.onnx", "xz/g.onnx"]
        one = [entry.model for entry in Pattern("memory://listed/x?/?.onnx").entries()]
        assert [name.rpartition("listed/")[2] for name in one] == ["xz/g.onnx"]
    finally:
        memory.rm("/listed", recursive=True)


@pytest.mark.parametrize(
    ("glob", "names"),
    [
        ("*", {"a.onnx", "x/b.onnx", "x/y/c.keras", "x/y/f.H5", "xz/g.onnx"}),
        ("n?t/**/*.onnx", {"a.onnx", "x/b.onnx", "xz/g.onnx"}),
        ("net/x", {"x/b.onnx", "x/y/c.keras", "x/y/f.H5"}),
        ("other*", set[str]()),
    ],
)
def test_a_glob_names_models_in_repositories_of_the_hub_that_fsspec_is_set_to(
    folder: Path, glob: str, names: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("huggingface_hub", reason="the extra remote is not installed")
    from fsspec.config import conf

    with serving(folder) as files, hub(files) as server:
        server.page = 2
        monkeypatch.setitem(conf, "hf", {"endpoint": server.url, "token": TOKEN})
        found = list(Pattern(f"hf://owner/{glob}").entries())
        assert server.authorizations == {f"Bearer {TOKEN}"}
    assert {entry.model for entry in found} == {f"hf://owner/net/{name}" for name in names}
    assert all(entry.size == 1 and entry.stamp == f"etag:{sha256(b'1')}" for entry in found)


def test_what_is_not_there_is_an_error(folder: Path) -> None:
    with pytest.raises(ModelError, match="no such file or folder"):
        list(Pattern(str(folder / "absent")).entries())
    with pytest.raises(ConfigError, match="archives are not searched"):
        Pattern("zip://*.onnx::https://example.org/models.zip")


def test_a_change_is_noticed_by_the_hash_of_a_store_or_by_size_and_time() -> None:
    when = datetime(2027, 1, 3, tzinfo=UTC)
    assert stamp_of({"ETag": '"abc"', "size": 5}) == stamp_of({"etag": "abc", "size": 6}) == "etag:abc"
    assert stamp_of({"size": 5, "LastModified": when}) == "5 bytes, 2027-01-03T00:00:00+00:00"
    assert len({stamp_of({"size": size, "mtime": time}) for size in (1, 2) for time in (1, 2)}) == 4
    assert stamp_of({"size": 5}) == stamp_of({"mtime": 1}) == ""


def test_neither_a_password_nor_a_signature_is_shown() -> None:
    pytest.importorskip("fsspec", reason="the extra remote is not installed")
    pattern = Pattern("https://user:secret@127.0.0.1:1/m.onnx?X-Amz-Signature=0123456789abcdef0123456789abcdef")
    (entry,) = pattern.entries()
    assert "secret" in entry.address
    assert entry.model == "https://127.0.0.1:1/m.onnx"
    assert pattern.host == "127.0.0.1:1"
