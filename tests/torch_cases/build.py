"""Export the networks and write down what PyTorch says of them; run in a process of its own.

python tests/torch_cases/build.py FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from networks import NETWORKS

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def main(folder: Path) -> None:
    """Export each network in four ways."""
    for name, build in NETWORKS.items():
        torch.manual_seed(0)
        model, shape = build()
        model.eval()
        with torch.no_grad():
            # exporters make one tensor of those that are equal, as fresh norms are
            for values in [*model.parameters(), *model.buffers()]:
                if values.is_floating_point():
                    values.copy_(torch.rand_like(values) * 0.5 + 0.25)
        export(model, shape, folder, name)
        (folder / f"{name}.json").write_text(json.dumps(facts(model, shape)))


def export(model: nn.Module, shape: tuple[int, ...], folder: Path, name: str) -> None:
    """Write the network as the TorchScript and the dynamo exporter do, with and without their optimizations."""
    sample = torch.randn(2, *shape)
    named: dict[str, Any] = {"input_names": ["x"]}
    script: dict[str, Any] = {"dynamo": False, "opset_version": 17, "dynamic_axes": {"x": {0: "batch"}}, **named}
    torch.onnx.export(model, (sample,), folder / f"{name}.script.onnx", **script)
    unfolded = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
    torch.onnx.export(model, (sample,), folder / f"{name}.script_unfolded.onnx", **script, **unfolded)
    dynamo: dict[str, Any] = {"dynamo": True, "external_data": False, "dynamic_shapes": ({0: "batch"},), **named}
    torch.onnx.export(model, (sample,), folder / f"{name}.dynamo.onnx", **dynamo)
    torch.onnx.export(model, (sample,), folder / f"{name}.dynamo_unoptimized.onnx", optimize=False, **dynamo)


def facts(model: nn.Module, shape: tuple[int, ...]) -> dict[str, int]:
    """Return the parameters, the statistics of norms, what folding the norms saves, and the MACs of a sample.

    PyTorch's counter of operations leaves out recurrent cells; theirs are 4 × units × (inputs + units) per step.
    """
    with FlopCounterMode(display=False) as counter:
        model(torch.randn(1, *shape))
    macs = counter.get_total_flops() // 2
    for cells in (module for module in model.modules() if isinstance(module, nn.LSTM)):
        steps = shape[-1] // 2
        weights = [values for name, values in cells.named_parameters() if name.startswith("weight")]
        macs += steps * sum(values.numel() for values in weights)
    norms = [module for module in model.modules() if isinstance(module, NORMS)]
    saved = 0
    for parent in (module for module in model.modules() if isinstance(module, nn.Sequential)):
        for before, norm in zip(parent, list(parent)[1:], strict=False):
            if isinstance(norm, NORMS):
                # scale and shift go, and the convolution has a bias from then on
                saved += 2 * norm.num_features - (norm.num_features if before.bias is None else 0)
    return {
        "parameters": sum(values.numel() for values in model.parameters()),
        "statistics": sum(2 * norm.num_features for norm in norms),
        "saved_by_folding": saved,
        "macs": macs,
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
