"""The pytest plugin of cnnlint: all that a run of pytest which does not ask for cnnlint imports of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from cnnlint.api.linting import Report


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option of cnnlint."""
    parser.getgroup("cnnlint").addoption(
        "--cnnlint",
        action="store_true",
        help="lint the [[definitions]] of the configuration that the working directory has, each as a test: "
        "their code is run",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Collect definitions, if that was asked for."""
    if config.getoption("cnnlint"):
        from cnnlint_pytest.definitions import Definitions

        config.pluginmanager.register(Definitions(config))


@pytest.fixture
def cnnlint_check() -> Callable[..., Report]:
    """Return a function that lints a model, and fails the test with the report if it fails.

    The model is what `cnnlint.lint` takes, or a PyTorch module with `example_inputs=`. What it may cost is given by
    `max_params="5M"` and so on, as on the command line; all other arguments are those of `cnnlint.lint`.
    """
    from cnnlint.definitions.live import begin

    begin()  # which line makes which layer, from here on

    def check(model: Any, **arguments: Any) -> Report:
        __tracebackhide__ = True
        import cnnlint

        limits = {name: arguments.pop(name) for name in [*arguments] if name.startswith("max_")}
        if limits:
            arguments["budget"] = _budget(limits)
        if "example_inputs" in arguments:
            from cnnlint.torch import check as check_torch

            report = check_torch(model, **arguments)
        else:
            report = cnnlint.lint(model, **arguments)
        if report.exit_code:
            pytest.fail(str(report), pytrace=False)
        return report

    return check


def _budget(limits: dict[str, Any]) -> Any:
    """Return the budget that `max_params="5M"` and its like make."""
    import cnnlint
    from cnnlint.errors import did_you_mean

    known = {f"max_{name}": name for name in cnnlint.QUANTITIES}
    for name in limits.keys() - known.keys():
        raise cnnlint.ConfigError(f"nothing is limited by {name}", remedy=did_you_mean(name, known))
    return cnnlint.Budget(**{known[name]: most for name, most in limits.items()})
