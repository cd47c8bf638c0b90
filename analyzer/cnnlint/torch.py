"""cnnlint for a PyTorch module of this process: `cnnlint.torch.check(module, example_inputs)`.

Importing this module begins to record which line of the program makes which module, so that findings can name it.
"""

from __future__ import annotations

from typing import Any, cast

from cnnlint.api.linting import Report, lint
from cnnlint.definitions.live import begin
from cnnlint.errors import boundary
from cnnlint.linting.models import LiveTorch

begin()


def check(module: Any, example_inputs: Any, **arguments: Any) -> Report:
    """Lint a module as PyTorch's exporter (dynamo) writes it for inference; the module is left as it was.

    Args:
        module: A `torch.nn.Module`.
        example_inputs: What it is called with, a tensor or a tuple of all inputs; only shapes and types matter.
        arguments: As of `cnnlint.lint`.

    Raises:
        MissingExtraError: The exporter is not installed.
        ModelError: PyTorch cannot export it.
        ConfigError: The configuration or an argument is wrong.
        RuleError: A plugin or a file of rules is.
    """
    examples: tuple[Any, ...] = (example_inputs,)
    if isinstance(example_inputs, (list, tuple)):
        examples = tuple(cast("tuple[Any, ...]", example_inputs))
    with boundary(None):
        return lint(LiveTorch(module, examples), **arguments)
