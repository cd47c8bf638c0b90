"""What a user may point cnnlint at."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest

from acceptance.command import MODELS, VGG, cnnlint_process, lint_json, summary_json
from acceptance.nets import model, node, write

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


def shapes(path: Path) -> list[tuple[str, list[int]]]:
    (found,) = summary_json(path)
    return [(layer["kind"], layer["output_shape"]) for layer in found["layers"] if layer["kind"] != "Input"]


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("bvlc_alexnet", 60_965_224), ("vgg19", 143_667_240), ("squeezenet", 1_235_496)],
)
def test_zoo_nets_without_values_are_counted_as_published(name: str, parameters: int) -> None:
    (found,) = summary_json(LIGHT / f"light_{name}.onnx")
    assert (found["parameters"], found["error"]) == (parameters, None)


@pytest.mark.parametrize(
    "name", ["resnet50", "densenet121", "inception_v1", "inception_v2", "shufflenet", "zfnet512", "squeezenet"]
)
def test_every_layer_of_a_zoo_net_has_its_shape(name: str) -> None:
    (found,) = summary_json(LIGHT / f"light_{name}.onnx")
    assert None not in [layer["output_shape"] for layer in found["layers"]]
    assert found["macs"] > 0
    assert not [layer["name"] for layer in found["layers"] if layer["kind"] == "Opaque"]


@pytest.mark.parametrize("opset", [7, 8, 9, 11, 13, 15, 18, 21, onnx.defs.onnx_opset_version()])
def test_operator_sets_from_7_to_the_newest_are_read(opset: int, tmp_path: Path) -> None:
    net = model([node("Conv", "x w", "a", "conv"), node("Relu", "a", "y", "relu")], opset=opset)
    assert shapes(write(tmp_path / "net.onnx", net)) == [("Conv", [4, 6, 6]), ("Activation", [4, 6, 6])]


@pytest.mark.parametrize("one_file", [True, False])
@pytest.mark.parametrize("threshold", [0, 1024])
def test_external_data_gives_the_graph_of_a_single_file(tmp_path: Path, one_file: bool, threshold: int) -> None:
    path = tmp_path / "net.onnx"
    onnx.save(
        onnx.load(VGG), path, save_as_external_data=True, all_tensors_to_one_file=one_file, size_threshold=threshold
    )
    (stored,), (plain,) = summary_json(path), summary_json(VGG)
    for key in ("parameters", "macs", "weight_bytes", "peak_activation_bytes", "pattern", "layers"):
        assert stored[key] == plain[key], key
    assert stored["file_bytes"] == sum(file.stat().st_size for file in tmp_path.iterdir())


@pytest.mark.parametrize("suffix", ["keras", "h5", "onnx"])
def test_the_three_formats_of_one_network_have_the_same_layers(suffix: str) -> None:
    (found,) = summary_json(MODELS / f"seed_cnn.{suffix}")
    (other,) = summary_json(MODELS / "seed_cnn.keras")
    keys = ("kind", "output_shape", "parameters", "macs", "receptive_field", "formula")
    assert [[layer[key] for key in keys] for layer in found["layers"]] == [
        [layer[key] for key in keys] for layer in other["layers"]
    ]
    assert found["format"] == suffix


def test_keras_files_are_read_without_tensorflow_and_keras(tmp_path: Path) -> None:
    for package in ("tensorflow", "keras", "tf2onnx"):
        (tmp_path / f"{package}.py").write_text(f"raise RuntimeError('{package} was imported')", encoding="utf-8")
    done = cnnlint_process(MODELS / "seed_cnn.keras", MODELS / "seed_cnn.h5", "--isolated", PYTHONPATH=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")


def test_findings_do_not_depend_on_the_format() -> None:
    reports = lint_json(
        *(MODELS / f"seed_cnn.{suffix}" for suffix in ("keras", "h5", "onnx")), "--isolated", "--static"
    )
    told = [[(found["code"], found["message"], found["layers"]) for found in each["findings"]] for each in reports]
    assert told[0] == told[1] == told[2] != []
