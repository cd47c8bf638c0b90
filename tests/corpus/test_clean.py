"""What cnnlint says of sound networks: what `clean.toml` has for each, and nothing else.

A finding that is not there fails the test until somebody has looked at the network and written down what is right.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import cnnlint
import real
import torch_cases
import zoo
from corpus import CLEAN, check, expected, nets
from zoo.architectures import NETS

FIXTURES = Path(__file__).parents[2] / "fixtures"

NOISY = frozenset({"VGG16", "VGG19", "bvlc_alexnet", "vgg19", "zfnet512"})
"""Networks of the zoos in which there is more to say."""

LIGHT = [f"light/{name}" for name in zoo.light_names()]
KERAS = [f"keras/{name}" for name in (*zoo.LARGE, *zoo.MORE)]
"""The others are judged where they are built: `test_agreement_applications.py`."""

CONVERTED = [f"converted/{name}" for name in (*zoo.LARGE, *zoo.MORE)]
SMALL = [f"fixtures/{path.name}" for path in sorted((FIXTURES / "models").iterdir()) if path.stem != "smelly"]
TORCH = [f"torch/{path.name}" for path in sorted((FIXTURES / "torch").glob("*.onnx"))]
EXPORTED = [f"exported/{name}.{way}" for name in torch_cases.NAMES for way in torch_cases.EXPORTERS]
BUILT = [f"built/{name}" for name in nets.NETS]

QUICK = [*LIGHT, *SMALL, *TORCH, *BUILT]
SLOW = [*KERAS, *CONVERTED, *EXPORTED, *real.EXPORTS]


def path_of(network: str, folder: Path) -> Path:
    """Return the file of a network of the corpus; skip the test where it cannot be had."""
    source, _, name = network.partition("/")
    if source == "light":
        return zoo.light_path(name)
    if source == "keras":
        return zoo.keras_path(name)
    if source == "converted":
        return zoo.onnx_path(name)
    if source == "exported":
        if not torch_cases.INSTALLED:
            pytest.skip("PyTorch is not installed")
        return torch_cases.folder() / f"{name}.onnx"
    if source == "built":
        return nets.saved(name, folder)
    if source == "timm":
        return real.path_of(network)
    return FIXTURES / ("models" if source == "fixtures" else "torch") / name


@pytest.mark.parametrize("network", QUICK)
def test_what_is_said_of_a_network_was_judged(network: str, tmp_path: Path) -> None:
    check(network, path_of(network, tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("network", SLOW)
def test_what_is_said_of_a_built_or_exported_network_was_judged(network: str, tmp_path: Path) -> None:
    check(network, path_of(network, tmp_path))


@pytest.mark.parametrize("network", [*LIGHT, *(f"keras/{name}" for name in NETS), *CONVERTED])
def test_published_networks_get_three_findings_at_most_and_no_warning(network: str) -> None:
    if network.partition("/")[2] not in NOISY:
        found = expected(network)
        assert found.total() <= 3
        assert {level for _, level in found} <= {"info"}


@pytest.mark.slow
@pytest.mark.parametrize("network", [each for each in (*LIGHT, *KERAS, *CONVERTED) if each.split("/")[1] not in NOISY])
def test_published_networks_get_no_more_when_their_weights_are_read_and_they_are_run(
    network: str, tmp_path: Path
) -> None:
    (report,) = cnnlint.lint(str(path_of(network, tmp_path)), isolated=True).models
    assert report.error is None
    assert len(report.findings) <= 3
    assert {finding.severity.value for finding in report.findings} <= {"info"}


def test_each_judgment_is_about_a_network_of_the_corpus_and_says_why() -> None:
    assert set(CLEAN) <= {*QUICK, *SLOW, *(f"keras/{name}" for name in NETS)}
    for entry in CLEAN.values():
        assert set(entry) <= {"info", "warning", "error"}
        for level in ("warning", "error"):
            assert all(why.endswith(".") for why in entry.get(level, {}).values())
