"""Fleets of small models: files to lint, the processes that lint them, and what their results come to."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

NOT_COMPARED = {"run", "linted_in", "seconds", "requests", "bytes_read"}
"""Columns that may differ between two runs over the same models."""


def network(index: int) -> onnx.ModelProto:
    """Return a convolution and a dense layer whose weights no other index has; its Dropout is a finding."""
    rng = np.random.default_rng(index)
    channels = 4 + index % 5
    weights = [
        numpy_helper.from_array(rng.standard_normal((channels, 3, 3, 3), np.float32), "conv.weight"),
        numpy_helper.from_array(rng.standard_normal((channels * 64, 10), np.float32), "fc.weight"),
    ]
    nodes = [
        helper.make_node("Conv", ["image", "conv.weight"], ["map"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node("Dropout", ["map"], ["kept"], name="drop"),
        helper.make_node("Relu", ["kept"], ["active"], name="relu"),
        helper.make_node("Flatten", ["active"], ["flat"], name="flatten"),
        helper.make_node("MatMul", ["flat", "fc.weight"], ["logits"], name="fc"),
    ]
    graph = helper.make_graph(
        nodes,
        f"net{index}",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 10])],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def store(folder: Path, count: int) -> Path:
    """Write `count` models into folders of ten below `folder`, and return it."""
    for index in range(count):
        place = folder / f"team{index // 10:03}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"net{index:05}.onnx").write_bytes(network(index).SerializeToString())
    return folder


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "cnnlint", "fleet", *map(str, arguments)]


def fleet(*arguments: object, cwd: Path, code: int | None = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `cnnlint fleet` in a process of its own, and hold it to its exit code."""
    done = subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=120,
        check=False,
        env={**os.environ, **environment},
    )
    assert code is None or done.returncode == code, f"{done.returncode}: {done.stdout}{done.stderr}"
    return done


@contextmanager
def process(arguments: list[str], cwd: Path, **environment: str) -> Generator[subprocess.Popen[str]]:
    """Keep a process as long as the context lasts."""
    started = subprocess.Popen(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=cwd,
        env={**os.environ, **environment},
    )
    try:
        yield started
    finally:
        started.kill()
        started.communicate()


def until(met: Any, seconds: float = 60.0) -> None:
    """Wait until `met()` is true."""
    end = monotonic() + seconds
    while not met():
        assert monotonic() < end, "it does not come about"
        sleep(0.05)


def table(results: Path, name: str, run: str | None = None) -> list[dict[str, Any]]:
    """Return the rows of a table, of one run or of all."""
    import pyarrow.parquet as pq

    rows = list[dict[str, Any]]()
    for folder in sorted(results.glob(f"{name}/run=*")):
        if run is None or folder.name == f"run={run}":
            for file in sorted(folder.glob("*.parquet")):
                rows += [{**row, "run": folder.name[4:]} for row in pq.ParquetFile(file).read().to_pylist()]
    return rows


def told(results: Path) -> dict[str, list[str]]:
    """Return all that the tables say of the models, in an order of its own, for comparison with another run."""
    return {
        name: sorted(
            repr({key: value for key, value in row.items() if key not in NOT_COMPARED}) for row in table(results, name)
        )
        for name in ("models", "layers", "findings", "errors")
    }


def named(results: Path, kind: str) -> Iterator[str]:
    """Yield the file names of models with an error of a kind."""
    return (Path(row["model"]).name for row in table(results, "errors") if row["kind"] == kind)


class Unreliable:
    """A WSGI application whose answers to requests for objects fail, stall and miss, one in so many.

    Attributes:
        every: Each so many-th request is answered with HTTP 503; none if 0.
        stalls: Each so many-th is not answered for `seconds`; none if 0.
        gone: Keys that are listed and not there.
        requests: (method, path) of every request.
        sent: Bytes of all answers.
    """

    def __init__(self, application: Any) -> None:
        self.application = application
        self.every = self.stalls = self.sent = 0
        self.seconds = 30.0
        self.gone = set[str]()
        self.requests = list[tuple[str, str]]()
        self.woken = threading.Event()
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        with self._lock:
            self.requests.append((environ["REQUEST_METHOD"], environ["PATH_INFO"]))
            number = len(self.requests)
        if any(environ["PATH_INFO"].endswith(key) for key in self.gone):
            return self._refused(start_response, "404 Not Found")
        if self.every and number % self.every == 0:
            return self._refused(start_response, "503 Slow Down")
        if self.stalls and number % self.stalls == 0:
            self.woken.wait(self.seconds)
        body = b"".join(self.application(environ, start_response))
        self.sent += len(body)
        return iter([body])

    def _refused(self, start_response: Any, status: str) -> Iterator[bytes]:
        start_response(status, [("Content-Length", "0")])
        return iter([b""])


@contextmanager
def bucket(folder: Path) -> Generator[tuple[Unreliable, dict[str, str]]]:
    """Serve the files of `folder` as the bucket `models` of an S3; yield the server, and variables that lead to it."""
    import boto3
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    application = Unreliable(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, application, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    endpoint = f"http://127.0.0.1:{server.port}"
    secrets = {"aws_access_key_id": "an-id", "aws_secret_access_key": "a-secret-key"}
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **secrets)
    client.create_bucket(Bucket="models")
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            client.put_object(Bucket="models", Key=file.relative_to(folder).as_posix(), Body=file.read_bytes())
    client.close()
    application.requests.clear()
    application.sent = 0
    try:
        yield (
            application,
            {
                **{name.upper(): value for name, value in secrets.items()},
                "AWS_EC2_METADATA_DISABLED": "true",
                "AWS_DEFAULT_REGION": "us-east-1",
                "FSSPEC_S3_ENDPOINT_URL": endpoint,
            },
        )
    finally:
        application.woken.set()
        # moto keeps what it holds for the life of the process, whatever server speaks for it
        application.gone, application.every, application.stalls = set(), 0, 0
        urlopen(Request(f"{endpoint}/moto-api/reset", method="POST"), timeout=10).close()
        server.shutdown()
        thread.join()
        server.server_close()
