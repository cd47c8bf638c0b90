"""URLs: what of them may be printed, and what lies beside them."""

from __future__ import annotations

import pytest

from cnnlint.frontends import is_remote
from cnnlint.frontends.remote.address import name_of, shown, sibling, without_secrets


@pytest.mark.parametrize(
    ("url", "printed"),
    [
        ("https://host/m.onnx", "https://host/m.onnx"),
        ("https://host:8443/a/m.onnx?id=5&v=latest", "https://host:8443/a/m.onnx?id=5&v=latest"),
        ("https://user:pass@host/m.onnx", "https://host/m.onnx"),
        ("https://token@host/m.onnx", "https://host/m.onnx"),
        ("https://host/m.onnx?X-Amz-Credential=AKIA&X-Amz-Signature=0f", "https://host/m.onnx"),
        ("https://host/m.onnx?sv=2022&se=2030&sr=b&sig=abc", "https://host/m.onnx"),
        ("https://host/m.onnx?x-goog-signature=1", "https://host/m.onnx"),
        ("https://host/m.onnx?access_token=1", "https://host/m.onnx"),
        ("https://host/m.onnx?t=eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", "https://host/m.onnx"),
        ("https://host/m.onnx?0f3a9c", "https://host/m.onnx"),
        ("https://host/m.onnx#fragment", "https://host/m.onnx"),
        ("s3://bucket/a/m.keras", "s3://bucket/a/m.keras"),
        ("ftp://user:p@ss@host/m.onnx", "ftp://host/m.onnx"),
        ("zip://m.onnx::https://user:pass@host/a.zip?sig=1", "zip://m.onnx::https://host/a.zip"),
        ("https://user:pass@[broken/m.onnx?sig=1", "[broken/m.onnx"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, printed: str) -> None:
    assert shown(url) == printed


def test_urls_inside_a_message_lose_their_secrets() -> None:
    message = "403, message='Forbidden', url='https://u:p@host/m.onnx?sig=abc' (try https://host/)"

    assert without_secrets(message) == "403, message='Forbidden', url='https://host/m.onnx' (try https://host/)"


@pytest.mark.parametrize(
    ("url", "beside"),
    [
        ("https://host/a/m.onnx?id=5", "https://host/a/w/d.bin"),
        ("https://host/m.onnx", "https://host/w/d.bin"),
        ("s3://bucket/a/m.onnx", "s3://bucket/a/w/d.bin"),
        ("s3://bucket/m.onnx", "s3://bucket/w/d.bin"),
        ("hf://owner/repo/onnx/m.onnx", "hf://owner/repo/onnx/w/d.bin"),
        ("file:///a/m.onnx", "file:///a/w/d.bin"),
        ("memory://m.onnx", "memory://w/d.bin"),
        ("zip://a/m.onnx::https://host/x.zip", "zip://a/w/d.bin::https://host/x.zip"),
    ],
)
def test_external_data_is_looked_for_in_the_folder_of_the_model(url: str, beside: str) -> None:
    assert sibling(url, "w/d.bin") == beside


def test_the_location_of_external_data_cannot_become_a_query() -> None:
    assert sibling("https://host/m.onnx", "d.bin?x=1#y") == "https://host/d.bin%3Fx%3D1%23y".replace("%3D", "=")


def test_the_name_is_what_stands_before_the_query() -> None:
    assert name_of("https://host/a/m.keras?download=true") == "/a/m.keras"


@pytest.mark.parametrize(("path", "expected"), [("https://h/m", True), ("a/b.onnx", False), (r"C:\m.onnx", False)])
def test_a_path_is_no_url(path: str, expected: bool) -> None:
    assert is_remote(path) is expected
