"""What `cnnlint.torch.check` says of modules in memory; `test_torch.py` runs this in a process of its own."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import cnnlint

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        find_spec("torch") is None or find_spec("onnxscript") is None, reason="torch and onnxscript are not installed"
    ),
    pytest.mark.filterwarnings("ignore"),  # PyTorch's own
]


@pytest.fixture(autouse=True)
def _own_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def classifier() -> Any:
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 1), nn.Softmax(1)
    )


def test_a_module_is_linted_as_it_is_exported_and_left_as_it_was() -> None:
    import torch

    from cnnlint.torch import check

    module = classifier()
    module[1].eval()
    modes = [inner.training for inner in module.modules()]
    report = check(module, torch.zeros(1, 3, 16, 16))
    assert [inner.training for inner in module.modules()] == modes
    (model,) = report
    assert (model.path, model.error) == ("<torch.nn.Module Sequential>", None)
    assert model.parameters == sum(each.numel() for each in module.parameters())
    assert model.macs == 14 * 14 * 8 * 27 + 8
    assert "HD001" in {finding.code for finding in report.findings}
    assert report.exit_code == 1


def test_several_inputs_and_a_budget() -> None:
    import torch

    from cnnlint.torch import check

    class Sum(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 4, 3)

        def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
            return torch.relu(self.conv(left) + self.conv(right))

    image = torch.zeros(1, 3, 8, 8)
    report = check(Sum(), (image, image), static=True, budget=cnnlint.Budget(params=100))
    assert [(held.measured, held.passed) for held in report[0].budgets] == [(4 * 27 + 4, False)]
    assert "BG001" in {finding.code for finding in report.findings}


def test_what_cannot_be_exported_says_why() -> None:
    import torch

    from cnnlint.torch import check

    class Odd(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise ValueError("nothing comes of this")

    with pytest.raises(cnnlint.ModelError, match=r"<torch.nn.Module Odd>: PyTorch cannot export it: "):
        check(Odd(), torch.zeros(1, 3, 8, 8))
