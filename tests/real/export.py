"""Export networks of timm by both of PyTorch's exporters, and write down what PyTorch says of them.

python tests/real/export.py FOLDER NAME...
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
KERNELS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


def main(folder: Path, names: list[str]) -> None:
    """Export each network twice; what an exporter refuses is said in the facts."""
    for name in names:
        facts_path = folder / f"{name}.json"
        if facts_path.exists():
            continue
        torch.manual_seed(0)
        model = timm.create_model(name, exportable=True).eval()
        with torch.no_grad():
            # exporters make one tensor of those that are equal, as fresh norms are
            for values in [*model.parameters(), *model.buffers()]:
                if values.is_floating_point():
                    values.add_(torch.rand_like(values) * 0.01)
        sample = torch.randn(2, *model.default_cfg["input_size"])
        facts = described(model, sample[:1])
        refusals = {way: export(model, sample, folder, name, way) for way in ("script", "dynamo")}
        facts["refused"] = {way: why for way, why in refusals.items() if why}
        facts_path.write_text(json.dumps(facts))


def export(model: nn.Module, sample: Tensor, folder: Path, name: str, way: str) -> str:
    """Write the network with the batch open; return why the exporter refuses it, "" if it does not."""
    options: dict[str, Any] = {"input_names": ["x"], "output_names": ["y"], "external_data": False}
    if way == "script":
        options |= {"dynamo": False, "opset_version": 17, "dynamic_axes": {"x": {0: "batch"}, "y": {0: "batch"}}}
    else:
        options |= {"dynamo": True, "dynamic_shapes": ({0: "batch"},)}
    target = folder / f"{name}.{way}.onnx"
    try:
        torch.onnx.export(model, (sample,), target, **options)
    except Exception as error:  # what it was is no matter here: the tests say that the export is missing
        target.unlink(missing_ok=True)
        return f"{type(error).__name__}: {error}".splitlines()[0][:200]
    return ""


def described(model: nn.Module, sample: Tensor) -> dict[str, Any]:
    """Return PyTorch's parameters, and each batch norm's channels and whether the layer ahead of it has a bias."""
    makers = dict[int, nn.Module]()
    ahead = dict[str, bool]()
    kept = list[Tensor]()  # a freed tensor's id would be given to the next one
    names = {module: name for name, module in model.named_modules()}

    def made(module: nn.Module, _: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            makers[id(output)] = module
            kept.append(output)

    def normalized(module: nn.Module, inputs: Any) -> None:
        maker = makers.get(id(inputs[0]))
        if maker is not None:
            ahead[names[module]] = maker.bias is not None

    hooks = [module.register_forward_hook(made) for module in model.modules() if isinstance(module, KERNELS)]
    hooks += [module.register_forward_pre_hook(normalized) for module in model.modules() if isinstance(module, NORMS)]
    with torch.no_grad():
        model(sample)
    for hook in hooks:
        hook.remove()
    norms = {name: module.num_features for name, module in model.named_modules() if isinstance(module, NORMS)}
    return {
        "parameters": sum(values.numel() for values in model.parameters()),
        "norms": norms,
        "behind_a_kernel_with_bias": ahead,
        "sample": list(sample.shape[1:]),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
