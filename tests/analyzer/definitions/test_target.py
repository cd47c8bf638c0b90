"""What words of a command line name code."""

import pytest

from cnnlint.definitions.target import parse


@pytest.mark.parametrize(
    ("text", "place", "attribute"),
    [
        ("train.py:make_model", "train.py", "make_model"),
        ("nets/big-one/train.py:Net", "nets/big-one/train.py", "Net"),
        ("C:\\nets\\train.py:Net", "C:\\nets\\train.py", "Net"),
        ("package.module:factory", "package.module", "factory"),
        ("nets:modèle", "nets", "modèle"),
    ],
)
def test_a_file_or_a_module_with_a_name_is_a_definition(text, place, attribute):
    found = parse(text)
    assert found is not None
    assert (found.name, found.place, found.attribute) == (text, place, attribute)
    assert (found.file is not None) == (".py:" in text)


@pytest.mark.parametrize(
    "text",
    [
        "model.onnx",
        "train.py",
        "train.py:",
        "train.py:2x",
        "a-b:c",
        "s3://bucket/train.py:net",
        "a.b:c.d",
        ":x",
        "a..b:c",
    ],
)
def test_nothing_else_is(text):
    assert parse(text) is None or text.startswith("s3:")


def test_a_file_of_that_name_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py:make").write_text("")
    assert parse("train.py:make") is None
