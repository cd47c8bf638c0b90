"""TensorFlow is imported late and silently, and its absence is answered by the command that installs it."""

from __future__ import annotations

import logging
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from cnnlint.conversion.toolchain import quiet, toolchain
from cnnlint.errors import MissingExtraError, installing

FIXTURES = Path(__file__).parents[3] / "fixtures" / "models"


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)


def test_importing_the_package_imports_nothing_heavy() -> None:
    heavy = "{'tensorflow', 'keras', 'tf2onnx', 'onnx', 'numpy', 'onnxruntime', 'h5py'}"
    done = run(f"import sys, cnnlint.conversion; print(sorted({heavy} & sys.modules.keys()))")
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.tf
def test_a_conversion_says_nothing_on_stderr_or_stdout() -> None:
    code = f"from cnnlint.conversion import keras_to_onnx; keras_to_onnx({str(FIXTURES / 'vgg_style.keras')!r})"
    done = run(code)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")


@pytest.mark.tf
@pytest.mark.parametrize("missing", ["tensorflow", "tf2onnx"])
def test_a_missing_package_is_answered_by_the_command_that_installs_it(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What Python itself does for a name that is None in sys.modules is to raise ModuleNotFoundError.
    for name in [name for name in sys.modules if name.split(".")[0] == missing]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingExtraError, match=missing) as caught:
        toolchain()
    assert caught.value.remedy == installing("cnnlint[keras]")


def test_quiet_gives_log_levels_and_warning_filters_back() -> None:
    logger = logging.getLogger("tf2onnx")
    level, filters = logger.level, list(warnings.filters)
    with quiet():
        warnings.warn("unheard", UserWarning, stacklevel=1)
        assert not logger.isEnabledFor(logging.CRITICAL)
    assert logger.level == level
    assert list(warnings.filters) == filters
