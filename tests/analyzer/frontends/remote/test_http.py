"""Models over HTTP: the graph is the local file's, and little of the file is sent."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest

from cnnlint import frontends
from cnnlint.errors import ModelError, UnsupportedModelError
from cnnlint.graph.graph import Graph
from remote_models.file_server import FileServer, serving
from remote_models.networks import DEPTH, chain, save_external, save_keras

pytest.importorskip("fsspec", reason="the extra remote is not installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    onnx.save(chain(), folder / "chain.onnx")
    save_external(folder / "external" / "chain.onnx")
    save_keras(folder / "chain.keras")
    return folder


@pytest.fixture
def server(folder: Path) -> Iterator[FileServer]:
    with serving(folder) as server:
        yield server


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNLINT_REMOTE_TIMEOUT", "0.4")


def facts(graph: Graph) -> object:
    layers = [
        (
            layer.name,
            layer.kind,
            [(weight.key, weight.shape, weight.dtype, weight.role) for weight in layer.weights],
            [(tensor.name, tensor.shape, tensor.dtype) for tensor in layer.outputs],
        )
        for layer in graph.layers
    ]
    source = graph.source
    return layers, source.format, source.producer, source.opset, source.file_bytes, source.layout


@pytest.mark.parametrize("name", ["chain.onnx", "chain.keras", "external/chain.onnx"])
def test_the_graph_is_that_of_the_local_file(server: FileServer, folder: Path, name: str) -> None:
    remote = frontends.load(f"{server.url}/{name}")

    assert facts(remote) == facts(frontends.load(str(folder / name)))
    assert remote.source.path == f"{server.url}/{name}"


@pytest.mark.parametrize("name", ["chain.onnx", "chain.keras"])
def test_a_fiftieth_of_the_file_is_sent_in_few_requests(server: FileServer, folder: Path, name: str) -> None:
    frontends.load(f"{server.url}/{name}")

    assert 0 < server.sent < (folder / name).stat().st_size / 50
    assert len(server.requests) <= DEPTH + 24


def test_of_external_data_only_the_size_is_asked_for(server: FileServer, folder: Path) -> None:
    frontends.load(f"{server.url}/external/chain.onnx")

    about_data = [(method, sent) for method, path, _, sent in server.requests if path.endswith("data.bin")]
    assert about_data == [("HEAD", 0)]


@pytest.mark.parametrize("name", ["chain.onnx", "chain.keras", "external/chain.onnx"])
def test_values_are_read_where_they_lie(server: FileServer, folder: Path, name: str) -> None:
    remote, local = frontends.load(f"{server.url}/{name}"), frontends.load(str(folder / name))
    before = server.sent
    ours = next(weight for layer in reversed(remote.layers) for weight in layer.weights if len(weight.shape) > 1)
    theirs = next(weight for layer in reversed(local.layers) for weight in layer.weights if len(weight.shape) > 1)

    assert (ours.values() == theirs.values()).all()
    assert ours.values().any()
    assert server.sent - before >= (ours.nbytes or 0)


def test_a_model_of_a_few_kilobytes_takes_one_look_and_one_request(server: FileServer, folder: Path) -> None:
    from cnnlint.frontends.notation import to_onnx

    onnx.save(to_onnx("INPUT 3x8x8 -> CONV 4 3x3 -> RELU -> GAP -> FC 10"), folder / "small.onnx")
    frontends.load(f"{server.url}/small.onnx")

    assert [method for method, *_ in server.requests] == ["HEAD", "GET"]


@pytest.mark.parametrize("name", ["chain.onnx", "chain.keras"])
def test_a_server_that_sends_no_parts_is_refused_before_it_sends_the_file(
    server: FileServer, folder: Path, name: str
) -> None:
    server.ranges = False

    with pytest.raises(ModelError, match=r"does not send parts of a file.*\(download it and lint the file\)"):
        frontends.load(f"{server.url}/{name}")
    assert server.sent < (folder / name).stat().st_size / 2


@pytest.mark.parametrize("name", ["chain.onnx", "chain.keras"])
@pytest.mark.parametrize("fault", ["cut", "short"])
def test_a_truncated_answer_is_no_damaged_model(server: FileServer, name: str, fault: str) -> None:
    setattr(server, fault, 7)

    cut_off = r"closed the connection in the middle|sent [0-9,]+ bytes where [0-9,]+ were asked for"
    with pytest.raises(ModelError, match=cut_off):
        frontends.load(f"{server.url}/{name}")


def test_an_answer_that_is_truncated_half_way_is_no_damaged_keras_model(server: FileServer) -> None:
    original = server.process_request

    def worse(request: object, client_address: object) -> None:
        original(request, client_address)  # type: ignore[arg-type]
        if len(server.requests) >= 3:
            server.short = 7

    server.process_request = worse  # type: ignore[method-assign, assignment]
    with pytest.raises(ModelError, match=r"bytes where [0-9,]+ were asked for"):
        frontends.load(f"{server.url}/chain.keras")


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("name", ["chain.onnx", "chain.keras"])
def test_an_answer_without_end_is_left_at_the_bytes_that_were_asked_for(
    server: FileServer, name: str, ranges: bool
) -> None:
    server.extra = 1 << 30
    server.ranges = ranges

    with pytest.raises(ModelError, match=r"sends more than the [0-9,]+ bytes that were asked for|does not send parts"):
        frontends.load(f"{server.url}/{name}")
    assert server.sent < 1 << 25


@pytest.mark.parametrize("name", ["chain.onnx", "chain.keras"])
def test_a_compressed_answer_is_not_unpacked(server: FileServer, name: str) -> None:
    server.encoding = "gzip"

    with pytest.raises(ModelError, match=r"the server compresses its answer \(gzip\)") as caught:
        frontends.load(f"{server.url}/{name}")
    assert caught.value.path == f"{server.url}/{name}"
    assert server.sent < 1 << 20


@pytest.mark.parametrize("announced", [1 << 50, 1000])
@pytest.mark.parametrize("name", ["chain.onnx", "chain.keras"])
def test_a_size_that_is_a_lie_is_an_error(server: FileServer, name: str, announced: int) -> None:
    server.announced = announced

    with pytest.raises(ModelError):
        frontends.load(f"{server.url}/{name}")
    assert server.sent < 1 << 22


@pytest.mark.usefixtures("impatient")
def test_a_server_that_does_not_answer_is_waited_for_only_so_long(server: FileServer) -> None:
    server.pause = 20.0

    with pytest.raises(ModelError, match=r"127\.0\.0\.1.*no answer within 0\.4 s \(.*CNNLINT_REMOTE_TIMEOUT"):
        frontends.load(f"{server.url}/chain.onnx")


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (404, r"there is no such file \(HTTP 404\)"),
        (403, r"access is refused \(HTTP 403\) \(check your credentials"),
        (401, r"access is refused \(HTTP 401\)"),
        (503, r"the server answers HTTP 503 \(try again later\)"),
    ],
)
def test_a_status_is_said_in_words(server: FileServer, status: int, said: str) -> None:
    server.status = status

    with pytest.raises(ModelError, match=said) as caught:
        frontends.load(f"{server.url}/chain.onnx")
    assert caught.value.path == f"{server.url}/chain.onnx"


def test_a_missing_file_is_said_to_be_missing(server: FileServer) -> None:
    with pytest.raises(ModelError, match=r"absent\.onnx: there is no such file"):
        frontends.load(f"{server.url}/absent.onnx")


def test_an_empty_file_is_said_to_be_empty(server: FileServer, folder: Path) -> None:
    (folder / "empty.onnx").touch()

    with pytest.raises(ModelError, match=r"empty\.onnx: the file is empty"):
        frontends.load(f"{server.url}/empty.onnx")


def test_a_server_that_is_not_there_refuses_the_connection(folder: Path) -> None:
    with serving(folder) as server:
        url = f"{server.url}/chain.onnx"

    with pytest.raises(ModelError, match="the server refuses the connection"):
        frontends.load(url)


@pytest.mark.parametrize("name", ["saved_model.pb", "net/"])
def test_a_saved_model_is_only_read_from_disk(server: FileServer, name: str) -> None:
    with pytest.raises(UnsupportedModelError, match="a folder that is only read from disk"):
        frontends.load(f"{server.url}/{name}")
    assert not server.requests


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (b"<!doctype html><title>Sign in</title>", "page.onnx", "an HTML or XML page, as a failed download leaves it"),
        (b"version https://git-lfs.github.com/spec/v1\n", "pointer.keras", "is a Git LFS pointer"),
        (b"PK\x03\x04 and no directory", "broken.keras", "cut off or damaged"),
        (b"\x89HDF\r\n\x1a\n and nothing else", "broken.h5", "its HDF5 part is damaged or cut off"),
    ],
)
def test_what_is_no_model_is_named(server: FileServer, folder: Path, content: bytes, name: str, said: str) -> None:
    (folder / name).write_bytes(content)

    with pytest.raises(ModelError, match=said) as caught:
        frontends.load(f"{server.url}/{name}")
    assert caught.value.path == f"{server.url}/{name}"


def test_missing_external_data_is_named(server: FileServer, folder: Path) -> None:
    folder.joinpath("alone").mkdir()
    folder.joinpath("alone", "chain.onnx").write_bytes(folder.joinpath("external", "chain.onnx").read_bytes())

    with pytest.raises(ModelError, match=r"'weights/data\.bin', which holds tensor 'conv0\.weight', cannot be fetched"):
        frontends.load(f"{server.url}/alone/chain.onnx")


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", "x::https://elsewhere.example/data.bin"])
def test_external_data_elsewhere_is_never_asked_for(server: FileServer, folder: Path, location: str) -> None:
    model = onnx.load(folder / "external" / "chain.onnx", load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = location
    onnx.save(model, folder / "outside.onnx")

    with pytest.raises(ModelError, match="external data outside the model's folder"):
        frontends.load(f"{server.url}/outside.onnx")
    assert {path for _, path, _, _ in server.requests} == {"/outside.onnx"}


def test_compressed_weights_are_not_downloaded(server: FileServer, folder: Path) -> None:
    save_keras(folder / "deflated.keras", compression=zipfile.ZIP_DEFLATED)

    with pytest.raises(ModelError, match=r"model\.weights\.h5 is compressed, so all of it"):
        frontends.load(f"{server.url}/deflated.keras")
    assert server.sent < 1_000_000


def test_no_secret_of_a_url_is_told(server: FileServer) -> None:
    host = server.url.removeprefix("http://")
    url = f"http://someone:hunter2@{host}/absent.onnx?X-Amz-Signature=0123abcd&X-Amz-Expires=60"

    with pytest.raises(ModelError) as caught:
        frontends.load(url)
    assert str(caught.value).startswith(f"http://{host}/absent.onnx: ")
    assert not any(secret in str(caught.value) for secret in ("someone", "hunter2", "0123abcd"))


def test_an_unknown_protocol_is_named() -> None:
    with pytest.raises(ModelError, match=r"the protocol gopher:// is not known \(https, s3, hf"):
        frontends.load("gopher://host/model.onnx")
