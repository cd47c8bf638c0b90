"""Models in S3: the protocol itself, spoken with moto's server on loopback."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest

from cnnlint import frontends
from cnnlint.errors import ModelError, UnsupportedModelError
from cnnlint.frontends.remote.remote_file import downloaded
from remote_models.networks import chain, save_external, save_keras

moto_server = pytest.importorskip("moto.server", reason="moto is not installed")


class Counted:
    """A WSGI application, and what it has sent for each request.

    Attributes:
        extra: Bytes that it sends after each answer to a GET without saying so.
        ranges: Whether it sends parts of objects; if not, it answers with the whole.
    """

    def __init__(self, application: Any) -> None:
        self.application = application
        self.requests: list[tuple[str, str, int]] = []
        self.extra = 0
        self.ranges = True

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if not self.ranges:
            environ.pop("HTTP_RANGE", None)
        endless = method == "GET" and self.extra > 0

        def start(status: str, headers: list[tuple[str, str]], *info: Any) -> Any:
            kept = [header for header in headers if not endless or header[0].lower() != "content-length"]
            return start_response(status, kept, *info)

        body = b"".join(self.application(environ, start))
        place = len(self.requests)
        self.requests.append((method, path, len(body)))
        yield body
        for sent in range(0, self.extra if endless else 0, 1 << 16):
            self.requests[place] = (method, path, len(body) + sent)
            yield bytes(1 << 16)

    @property
    def sent(self) -> int:
        return sum(count for _, _, count in self.requests)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    onnx.save(chain(), folder / "chain.onnx")
    save_external(folder / "external" / "chain.onnx")
    save_keras(folder / "chain.keras")
    (folder / "saved").mkdir()
    (folder / "saved" / "saved_model.pb").write_bytes(b"\x08\x01")
    return folder


@pytest.fixture(scope="module")
def storage(folder: Path) -> Iterator[Counted]:
    import boto3
    from fsspec.config import conf
    from werkzeug.serving import make_server

    # moto's own ThreadedMotoServer takes no application around its own, which the counting needs.
    application = Counted(moto_server.DomainDispatcherApplication(moto_server.create_backend_app))
    server = make_server("127.0.0.1", 0, application, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    endpoint = f"http://127.0.0.1:{server.port}"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}.items():
            patch.setenv(name, value)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        patch.setitem(conf, "s3", {"endpoint_url": endpoint, "client_kwargs": {"region_name": "us-east-1"}})
        client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
        client.create_bucket(Bucket="models")
        for file in folder.rglob("*"):
            if file.is_file():
                client.upload_file(str(file), "models", file.relative_to(folder).as_posix())
        client.close()
        yield application
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def _counted_from_here(storage: Counted) -> None:
    storage.requests.clear()
    storage.extra, storage.ranges = 0, True


@pytest.mark.parametrize("name", ["chain.onnx", "chain.keras", "external/chain.onnx"])
def test_the_graph_is_that_of_the_local_file(folder: Path, name: str) -> None:
    remote, local = frontends.load(f"s3://models/{name}"), frontends.load(str(folder / name))

    assert [(layer.name, layer.kind) for layer in remote.layers] == [(layer.name, layer.kind) for layer in local.layers]
    assert [(weight.key, weight.shape, weight.dtype) for layer in remote.layers for weight in layer.weights] == [
        (weight.key, weight.shape, weight.dtype) for layer in local.layers for weight in layer.weights
    ]
    assert remote.source.file_bytes == local.source.file_bytes


@pytest.mark.parametrize("name", ["chain.onnx", "chain.keras"])
def test_a_fiftieth_of_the_object_is_sent_in_few_requests(storage: Counted, folder: Path, name: str) -> None:
    frontends.load(f"s3://models/{name}")

    assert 0 < storage.sent < (folder / name).stat().st_size / 50
    assert len(storage.requests) <= 40
    assert {method for method, _, _ in storage.requests} == {"HEAD", "GET"}


def test_of_external_data_only_the_size_is_asked_for(storage: Counted) -> None:
    frontends.load("s3://models/external/chain.onnx")

    assert {(method, sent) for method, path, sent in storage.requests if path.endswith("data.bin")} == {("HEAD", 0)}


def test_an_absent_object_is_said_to_be_missing() -> None:
    with pytest.raises(ModelError, match=r"s3://models/absent\.onnx: there is no such file"):
        frontends.load("s3://models/absent.onnx")


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("name", ["chain.onnx", "chain.keras"])
def test_an_answer_without_end_is_left_at_the_bytes_that_were_asked_for(
    storage: Counted, name: str, ranges: bool
) -> None:
    storage.extra, storage.ranges = 1 << 30, ranges

    with pytest.raises(ModelError, match=r"sends more than the [0-9,]+ bytes that were asked for|does not send parts"):
        frontends.load(f"s3://models/{name}")
    assert storage.sent < 1 << 26


@pytest.mark.parametrize("name", ["chain.onnx", "chain.keras"])
def test_a_store_that_sends_no_parts_is_refused(storage: Counted, name: str) -> None:
    storage.ranges = False

    with pytest.raises(ModelError, match=r"does not send parts of a file.*\(download it and lint the file\)"):
        frontends.load(f"s3://models/{name}")


def test_a_download_is_left_at_the_bytes_that_were_asked_for(storage: Counted) -> None:
    storage.extra = 1 << 30

    with pytest.raises(ModelError, match=r"sends more than the [0-9,]+ bytes"), downloaded("s3://models/chain.onnx"):
        pass
    assert storage.sent < 1 << 25


def test_a_download_is_the_object(folder: Path) -> None:
    with downloaded("s3://models/external/chain.onnx") as path:
        assert Path(path).read_bytes() == (folder / "external" / "chain.onnx").read_bytes()


def test_a_listing_without_end_is_left(storage: Counted) -> None:
    storage.extra = 1 << 30

    with pytest.raises(ModelError, match=r"s3://models/absent: .*bytes that such an answer may have"):
        frontends.load("s3://models/absent")
    assert any(method == "GET" for method, _, _ in storage.requests)
    assert storage.sent < 1 << 27


def test_the_folder_of_a_saved_model_is_only_read_from_disk() -> None:
    with pytest.raises(UnsupportedModelError, match="a folder that is only read from disk"):
        frontends.load("s3://models/saved")
