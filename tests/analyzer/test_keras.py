"""The callback in Keras's training loop: the model is linted as it is trained, before its first batch."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import cnnlint

pytestmark = pytest.mark.tf


@pytest.fixture(autouse=True)
def _own_configuration(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def classifier(activation: str = "sigmoid", *, rate: float = 0.01, loss: str = "binary_crossentropy") -> Any:
    import keras

    layers = keras.layers
    model = keras.Sequential([
        keras.Input((8, 8, 3)),
        layers.Conv2D(4, 3, activation="relu", name="conv"),
        layers.GlobalAveragePooling2D(name="mean"),
        layers.Dense(1, activation=activation, name="head"),
    ], name="cnn")  # fmt: skip
    model.compile(keras.optimizers.SGD(rate), loss, metrics=["accuracy"])
    return model


def batches_of(model: Any, *callbacks: Any, epochs: int = 1) -> int:
    """Train on eight random images in batches of four; return how many batches were begun."""
    import keras

    begun = list[int]()
    counting = keras.callbacks.LambdaCallback(on_train_batch_begin=lambda batch, logs: begun.append(batch))
    images, labels = np.zeros((8, 8, 8, 3), "float32"), np.zeros((8, 1), "float32")
    try:
        model.fit(images, labels, batch_size=4, epochs=epochs, verbose=0, callbacks=[counting, *callbacks])
    finally:
        model.batches = len(begun)
    return len(begun)


def test_an_error_leaves_fit_before_the_first_batch_with_the_report_printed(capsys):
    from cnnlint.keras import Callback

    model = classifier("softmax")
    before = [weight.copy() for weight in model.get_weights()]
    callback = Callback()
    with pytest.raises(cnnlint.FindingsError, match=r"the training was not begun: .*HD001 .*fail_on=\"never\""):
        batches_of(model, callback)
    assert model.batches == 0
    assert all(np.array_equal(old, new) for old, new in zip(before, model.get_weights(), strict=True))
    assert callback.report is not None
    assert str(callback.report) in capsys.readouterr().out


def test_a_sound_model_is_trained_and_reported_once(capsys):
    from cnnlint.keras import Callback

    model, callback = classifier(), Callback(fail_on="warning")
    assert [batches_of(model, callback, epochs=2), batches_of(model, callback)] == [4, 2]
    assert capsys.readouterr().out.count("<keras.Model cnn>") == 1


def test_loss_and_learning_rate_are_those_of_the_training():
    from cnnlint.keras import Callback

    model = classifier("relu")
    model.optimizer.learning_rate = 50.0  # after it was compiled
    callback = Callback(fail_on="never")
    batches_of(model, callback)
    assert {"HD002", "TR001"} <= {finding.code for finding in callback.report.findings}
    (rate,) = (finding for finding in callback.report.findings if finding.code == "TR001")
    assert "50" in rate.message


def test_fail_on_decides_what_stops_the_training():
    from cnnlint.keras import Callback

    for fail_on, batches in (("never", 2), ("error", 0)):
        model = classifier("softmax")
        with suppress(cnnlint.FindingsError):
            batches_of(model, Callback(fail_on=fail_on))
        assert model.batches == batches


@pytest.mark.parametrize("budgets", [{"params": 100}, cnnlint.Budget(params="100")], ids=["mapping", "budget"])
def test_a_broken_budget_stops_the_training(budgets):
    from cnnlint.keras import Callback

    model = classifier()
    with pytest.raises(cnnlint.FindingsError, match="BG001"):
        batches_of(model, Callback(budgets=budgets))
    assert model.batches == 0
    assert batches_of(model, Callback(budgets={"params": model.count_params()})) == 2


def test_a_model_that_only_its_first_batch_would_build_says_what_to_do():
    import keras

    from cnnlint.keras import Callback

    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(1)], name="later")
    model.compile("sgd", "mse")
    with pytest.raises(cnnlint.FindingsError, match=r"<keras.Model later>: is not built yet.*keras\.Input"):
        batches_of(model, Callback())
    assert model.batches == 0


def test_the_example_of_the_page_is_one_that_trains(capsys):
    page = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    example = page.split("```python\n")[1].split("```")[0].replace("epochs=100", "epochs=1, verbose=0")
    images, labels = np.zeros((8, 8, 8, 3), "float32"), np.zeros((8, 1), "float32")
    exec(example, {"model": classifier(), "images": images, "labels": labels})
    assert "of 5,000,000" in capsys.readouterr().out


def test_a_notebook_is_given_the_report_itself(monkeypatch, capsys):
    from cnnlint.keras import Callback

    shown = list[object]()
    notebook, display = ModuleType("IPython"), ModuleType("IPython.display")
    notebook.get_ipython = lambda: SimpleNamespace(kernel=object())
    display.display = shown.append
    monkeypatch.setitem(sys.modules, "IPython", notebook)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    callback = Callback()
    batches_of(classifier(), callback)
    assert shown == [callback.report]
    assert "_repr_html_" in dir(callback.report)
    assert capsys.readouterr().out == ""
