"""cnnlint at the start of Keras's training: `model.fit(..., callbacks=[cnnlint.keras.Callback()])`.

Importing this module begins to record which line of the program makes which layer, so that findings can name it.
Import it before the network is built.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

import keras  # pyright: ignore[reportMissingTypeStubs] - keras ships none

from cnnlint.api.linting import Report, lint
from cnnlint.definitions.live import begin
from cnnlint.engine.budget import Budget
from cnnlint.errors import FindingsError
from cnnlint.results import FailOn

begin()

if TYPE_CHECKING:
    from cnnlint.engine.budget import Amount

    Budgets = Budget | Mapping[str, Amount]

    class _Callback:
        """Keras's own, as far as it is used here."""

        model: Any

        def __init__(self) -> None: ...

else:
    _Callback = keras.callbacks.Callback


class Callback(_Callback):
    """Lint the model that is trained once, before its first batch, and stop if it is not worth training.

    Loss, metrics, optimizer and learning rate are those of the training. Values of weights are not looked at unless
    `static=False` says so: they are what the training is about to change.

    Args:
        fail_on: The severity from which a finding stops the training; "never" reports and goes on.
        budgets: What the model may cost: `{"params": "5M", "macs": "1G"}`, or a `cnnlint.Budget`.
        arguments: As of `cnnlint.lint`: `select`, `ignore`, `config`, ...

    Attributes:
        report: What was found; None before the training begins.
    """

    def __init__(self, fail_on: FailOn = "error", budgets: Budgets | None = None, **arguments: Any) -> None:
        super().__init__()
        budget = Budget(**cast("dict[str, Any]", budgets)) if isinstance(budgets, Mapping) else budgets
        self._arguments: dict[str, Any] = {"static": True, **arguments, "fail_on": fail_on, "budget": budget}
        self.report: Report | None = None

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras's signature
        """Show the report, in a notebook as HTML, and leave `fit` by an error if it fails.

        Raises:
            FindingsError: A finding stops the training, or the model could not be linted.
        """
        if self.report is not None:
            return
        self.report = report = lint(self.model, **self._arguments)
        _show(report)
        if self._arguments["fail_on"] == "never":
            return
        try:
            report.raise_for_findings()
        except FindingsError as error:
            remedy = 'Callback(fail_on="never") trains all the same'
            raise FindingsError(f"the training was not begun: {error.cause}", remedy=remedy) from None


def _show(report: Report) -> None:
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if hasattr(shell, "kernel"):
        import_module("IPython.display").display(report)
    else:
        print(report, flush=True)
