"""Shapes of inputs for all models and for those of a glob."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest

from acceptance.command import cnnlint, lint_json
from cnnlint.frontends.notation import to_onnx


def open_model(path: Path) -> None:
    """Write a network that leaves the height and width of its image open."""
    model = to_onnx("INPUT 3x8x8 -> CONV 4 3x3 same -> RELU -> GAP -> FC 10")
    for axis, name in ((2, "height"), (3, "width")):
        for value in (model.graph.input[0], model.graph.output[0]):
            dims = value.type.tensor_type.shape.dim
            if len(dims) > axis:
                dims[axis].dim_param = name
    del model.graph.value_info[:]
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("small/a.onnx", "small/b.onnx", "large/c.onnx"):
        open_model(tmp_path / name)
    return tmp_path


def macs(folder: Path, *args: str) -> list[int | None]:
    return [report["macs"] for report in lint_json("small", "large", "--static", *args, cwd=folder)]


def on(extent: int) -> int:
    """Return the MACs on an image of this height and width: a 3 × 3 kernel from 3 to 4 channels, and 4 means to 10."""
    return 4 * 3 * 9 * extent * extent + 4 * 10


def write(folder: Path, text: str) -> None:
    (folder / "cnnlint.toml").write_text(text, encoding="utf-8")


def test_a_glob_outweighs_all_models_a_later_glob_an_earlier_one_and_the_command_line_both(folder: Path) -> None:
    assert macs(folder) == [None, None, None]
    write(folder, '[inputs]\ninput = "1x3x16x16"\n')
    assert macs(folder) == [on(16), on(16), on(16)]
    write(
        folder,
        '[inputs]\ninput = "1x3x16x16"\n[per-model-inputs."small/*.onnx"]\ninput = "1x3x32x32"\n'
        '[per-model-inputs."b.onnx"]\ninput = "1x3x64x64"\n',
    )
    assert macs(folder) == [on(32), on(64), on(16)]
    assert macs(folder, "--input", "input=1x3x8x8") == [on(8), on(8), on(8)]


def test_a_glob_alone_is_enough_and_the_model_runs_on_it(folder: Path) -> None:
    write(folder, '[per-model-inputs]\n"large/*" = { input = "1x3x24x24" }\n')
    reports = lint_json("small/a.onnx", "large/c.onnx", cwd=folder)
    assert [report["macs"] for report in reports] == [None, on(24)]
    noted = [any("--input" in note or "open" in note for note in report["notes"]) for report in reports]
    assert noted[1] is False


def test_other_commands_that_read_the_configuration_keep_to_it(folder: Path) -> None:
    write(folder, '[per-model-inputs]\n"small/*" = { input = "1x3x24x24" }\n"large/*" = { input = "1x3x48x48" }\n')
    report = json.loads(cnnlint("diff", "small/a.onnx", "large/c.onnx", "--format", "json", cwd=folder).stdout)
    measured = {measure["quantity"]: (measure["before"], measure["after"]) for measure in report["measures"]}
    assert measured["macs"] == (on(24), on(48))
    shown = cnnlint("small/a.onnx", "--show-settings", cwd=folder).stdout
    assert 'per-model-inputs.small/*.input = "1x3x24x24"' in shown
    assert "cnnlint.toml:2" in shown


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[per-model-inputs."smal/*.onnx"]\ninput = "1x3x8x8"\n',
         'cnnlint.toml:1: per-model-inputs."smal/*.onnx": the glob matches no model (correct the glob, or delete it)'),
        ('[per-model-inputs."*.onnx"]\ninput = "1x3xHxW"\n',
         'cnnlint.toml:2: per-model-inputs."*.onnx".input: \'1x3xHxW\' is not a shape'),
        ('[per-model-inputs]\n"*.onnx" = "1x3x8x8"\n',
         "cnnlint.toml:1: per-model-inputs: expected a table, got a string"),
    ],
)  # fmt: skip
def test_a_glob_that_fits_nothing_and_what_is_no_shape_are_errors(text: str, said: str, folder: Path) -> None:
    write(folder, text)
    done = cnnlint("small", "large", "--static", cwd=folder)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_glob_of_models_that_the_run_leaves_out_is_no_error(folder: Path) -> None:
    write(folder, '[per-model-inputs]\n"large/*" = { input = "1x3x48x48" }\n')
    assert lint_json("small/a.onnx", "--static", cwd=folder)[0]["macs"] is None


def test_a_result_in_the_cache_is_of_the_shapes_that_were_set_for_its_model(folder: Path) -> None:
    for extent in (16, 32):
        write(folder, f'cache = true\n[per-model-inputs]\n"a.onnx" = {{ input = "1x3x{extent}x{extent}" }}\n')
        assert macs(folder) == [on(extent), None, None]
