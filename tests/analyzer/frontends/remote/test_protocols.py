"""Every protocol of fsspec, and what is said when its package is not there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from cnnlint import frontends
from cnnlint.errors import ConfigError, MissingExtraError
from cnnlint.frontends.remote.place import timeout
from remote_models.networks import chain

fsspec = pytest.importorskip("fsspec", reason="the extra remote is not installed")


def test_a_model_in_the_memory_of_fsspec_is_read() -> None:
    model = chain()
    fsspec.filesystem("memory").pipe("/models/chain.onnx", model.SerializeToString())

    graph = frontends.load("memory://models/chain.onnx")
    assert graph.source.file_bytes == model.ByteSize()


def test_a_member_of_an_archive_is_read(tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "models.zip", "w") as archive:
        archive.writestr("chain.onnx", chain().SerializeToString())

    graph = frontends.load(f"zip://chain.onnx::file://{tmp_path}/models.zip")
    assert sum(layer.kind == "Conv" for layer in graph.layers) == 8


def test_a_local_file_by_url_is_the_same_as_by_path(tmp_path: Path) -> None:
    onnx.save(chain(), tmp_path / "chain.onnx")

    remote, local = frontends.load(f"file://{tmp_path}/chain.onnx"), frontends.load(str(tmp_path / "chain.onnx"))
    assert [layer.name for layer in remote.layers] == [layer.name for layer in local.layers]


@pytest.mark.parametrize(
    ("package", "url"),
    [
        ("fsspec", "https://host/m.onnx"),
        ("aiohttp", "https://host/m.onnx"),
        ("s3fs", "s3://bucket/m.onnx"),
        ("huggingface_hub", "hf://owner/repo/m.onnx"),
    ],
)
def test_a_missing_package_is_named_with_the_command_that_installs_it(package: str, url: str) -> None:
    script = f"import sys; sys.modules[{package!r}] = None; from cnnlint import frontends; frontends.load({url!r})"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False).stderr

    last = said.splitlines()[-1]
    assert last.startswith("cnnlint.errors.MissingExtraError: ")
    assert f"needs a package that is not installed ({package})" in last
    assert last.endswith("pip install 'cnnlint[remote]')")


def test_a_local_model_imports_nothing_that_speaks_to_servers(tmp_path: Path) -> None:
    onnx.save(chain(), tmp_path / "chain.onnx")
    script = (
        "import sys; from cnnlint import frontends; frontends.load(sys.argv[1]);"
        "print({name.partition('.')[0] for name in sys.modules} & {'fsspec', 'aiohttp', 's3fs', 'asyncio'})"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "chain.onnx")]

    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "set()"


def test_the_package_of_another_protocol_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gcsfs", None)

    with pytest.raises(MissingExtraError, match="gcsfs"):
        frontends.load("gs://bucket/m.onnx")


@pytest.mark.parametrize("written", ["soon", "0", "-1", "nan", "inf"])
def test_a_time_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    monkeypatch.setenv("CNNLINT_REMOTE_TIMEOUT", written)

    with pytest.raises(ConfigError, match="is not a number of seconds"):
        timeout()
