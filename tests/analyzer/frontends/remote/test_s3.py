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
from remote_models.networks import chain, save_external, save_keras

moto_server = pytest.importorskip("moto.server", reason="moto is not installed")


class Counted:
    """A WSGI application, and what it has sent for each request."""

    def __init__(self, application: Any) -> None:
        self.application = application
        self.requests: list[tuple[str, str, int]] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        body = b"".join(self.application(environ, start_response))
        self.requests.append((environ["REQUEST_METHOD"], environ["PATH_INFO"], len(body)))
        return [body]

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


def test_the_folder_of_a_saved_model_is_only_read_from_disk() -> None:
    with pytest.raises(UnsupportedModelError, match="a folder that is only read from disk"):
        frontends.load("s3://models/saved")
