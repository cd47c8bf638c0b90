"""From the options of a command line to what outweighs the configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from msgspec.structs import replace

from cnnlint.engine.budget import Budget
from cnnlint.engine.config.settings import Flags, resolve
from cnnlint.errors import ConfigError
from cnnlint.worker.limits import RunLimits


def flags_of(said: Mapping[str, Any]) -> Flags:
    """Return the flags that the options `said` come to; an option that was not given says nothing.

    Raises:
        ConfigError: An input is not NAME=SHAPE, or a budget's amount cannot be read.
    """
    return Flags(
        select=_codes(said["select"]) or None,
        extend_select=_codes(said["extend_select"]),
        ignore=_codes(said["ignore"]),
        fail_on=said["fail_on"],
        pedantic=said["pedantic"],
        static=said["static"],
        run_timeout=said["run_timeout"],
        run_memory=said["run_memory"],
        cache_dir=said["cache_dir"],
        model_ignores=False if said["no_model_ignores"] else None,
        inputs=input_shapes(said["inputs"]),
        budget=_budget(said),
        allow_config_code=said["allow_config_code"],
        ignore_config_code=said["ignore_config_code"],
    )


def input_shapes(written: Iterable[str]) -> dict[str, str]:
    """Return the shape written for each input, by name.

    Raises:
        ConfigError: An entry is not NAME=SHAPE.
    """
    shapes = dict[str, str]()
    for entry in written:
        # a name may hold an equals sign or a colon; a shape holds neither
        name, separator, shape = entry.rpartition("=")
        if not separator or not name or not shape:
            raise ConfigError(f"--input {entry} does not name an input", remedy="write --input NAME=1x3x224x224")
        shapes[name] = shape
    return shapes


def input_dims(written: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Return the shape of each input in numbers, by name.

    Raises:
        ConfigError: An entry is not NAME=SHAPE, or an extent is no number.
    """
    return resolve(None, Flags(inputs=input_shapes(written))).inputs


def run_limits(timeout: float | None, memory: str | None) -> RunLimits:
    """Return what running a model may take.

    Raises:
        ConfigError: The memory is no size.
    """
    return resolve(None, Flags(run_timeout=timeout, run_memory=memory)).limits


def _budget(said: Mapping[str, Any]) -> Budget:
    budget = Budget()
    for name, amount in said.items():
        if not name.startswith("budget_") or amount is None:
            continue
        quantity = name.removeprefix("budget_")
        try:
            Budget(**{quantity: amount}).limits()
        except ConfigError as error:
            flag = f"--max-{quantity.replace('_', '-')}"
            raise ConfigError(f"{flag} {amount}: {error.cause}", remedy=error.remedy) from error
        budget = replace(budget, **{quantity: amount})
    return budget


def _codes(written: Iterable[str]) -> tuple[str, ...]:
    return tuple(code.strip() for entry in written for code in entry.split(",") if code.strip())
