"""Models on the Hugging Face hub: its own library says where files are, and they are read as over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest

from cnnlint import frontends
from cnnlint.errors import ModelError, UnsupportedModelError
from cnnlint.frontends.remote.remote_file import downloaded
from remote_models.file_server import FileServer, serving
from remote_models.hub_server import REPOSITORY, TOKEN, HubServer, hub
from remote_models.networks import chain, save_external, save_keras

pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")

HERE = f"hf://{REPOSITORY}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    onnx.save(chain(), folder / "chain.onnx")
    save_external(folder / "external" / "chain.onnx")
    save_keras(folder / "chain.keras")
    (folder / "saved").mkdir()
    (folder / "saved" / "saved_model.pb").write_bytes(b"\x08\x01")
    return folder


@pytest.fixture
def files(folder: Path) -> Iterator[FileServer]:
    with serving(folder) as server:
        yield server


@pytest.fixture(autouse=True)
def server(files: FileServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    from fsspec.config import conf

    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password of_git\n")
    with hub(files) as server:
        monkeypatch.setitem(conf, "hf", {"endpoint": server.url, "token": TOKEN})
        yield server


@pytest.mark.parametrize("name", ["chain.onnx", "chain.keras", "external/chain.onnx"])
def test_the_graph_is_that_of_the_local_file_and_little_of_it_is_sent(
    folder: Path, files: FileServer, name: str
) -> None:
    remote, local = frontends.load(f"{HERE}/{name}"), frontends.load(str(folder / name))

    assert [(layer.name, layer.kind) for layer in remote.layers] == [(layer.name, layer.kind) for layer in local.layers]
    assert remote.source.file_bytes == local.source.file_bytes
    assert remote.source.path == f"{HERE}/{name}"
    assert 0 < files.sent < (folder / "chain.keras").stat().st_size / 50


def test_the_token_is_told_to_the_hub_and_to_nobody_else(server: HubServer, files: FileServer) -> None:
    frontends.load(f"{HERE}@main/chain.onnx")

    assert server.authorizations == {f"Bearer {TOKEN}"}
    assert f"Bearer {TOKEN}" not in files.authorizations


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("name", ["chain.onnx", "chain.keras"])
def test_an_answer_without_end_is_left_at_the_bytes_that_were_asked_for(
    files: FileServer, name: str, ranges: bool
) -> None:
    files.extra = 1 << 30
    files.ranges = ranges

    with pytest.raises(ModelError, match=r"sends more than the [0-9,]+ bytes that were asked for|does not send parts"):
        frontends.load(f"{HERE}/{name}")
    assert files.sent < 1 << 25


def test_a_download_is_left_at_the_bytes_that_were_announced(files: FileServer) -> None:
    files.extra = 1 << 30

    with (
        pytest.raises(ModelError, match=r"sends more than the [0-9,]+ bytes that it announced"),
        downloaded(f"{HERE}/chain.onnx"),
    ):
        pass
    assert files.sent < 1 << 25


def test_external_data_is_downloaded_too(folder: Path) -> None:
    with downloaded(f"{HERE}/external/chain.onnx") as path:
        data = Path(path).parent / "weights" / "data.bin"
        assert data.read_bytes() == (folder / "external" / "weights" / "data.bin").read_bytes()


@pytest.mark.parametrize("url", [f"{HERE}/absent.onnx", "hf://owner/absent/chain.onnx"])
def test_what_is_not_there_is_said_to_be_missing(url: str) -> None:
    with pytest.raises(ModelError, match="there is no such file") as caught:
        frontends.load(url)
    assert caught.value.path == url


def test_the_folder_of_a_saved_model_is_only_read_from_disk() -> None:
    with pytest.raises(UnsupportedModelError, match="a folder that is only read from disk"):
        frontends.load(f"{HERE}/saved")
