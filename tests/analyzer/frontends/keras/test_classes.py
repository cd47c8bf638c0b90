"""The table of Keras's classes is what the installed Keras says."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from cnnlint.frontends.keras.file import known_class, newest_keras

ROOT = Path(__file__).parents[4]
TABLE = ROOT / "analyzer" / "cnnlint" / "frontends" / "keras" / "classes.txt"


@pytest.mark.tf
def test_the_table_is_what_the_keras_that_wrote_it_says() -> None:
    import keras

    text = TABLE.read_text(encoding="utf-8")
    if f'"keras": "{keras.__version__}"' not in text[:100]:
        pytest.skip("the table was written from another Keras: python docs/make_keras.py")
    assert text == runpy.run_path(str(ROOT / "docs" / "make_keras.py"))["table"]()


def test_a_class_is_found_by_the_module_that_exports_it() -> None:
    conv = known_class("keras.layers", "Conv2D")
    assert conv is not None
    assert conv.required == {"filters", "kernel_size"}
    assert "padding" in conv.optional
    assert known_class("keras.initializers", "Conv2D") is None
    assert newest_keras() >= (3, 10)
