import json

import jsonschema
import onnx
import onnx.helper
import pytest
from click.testing import CliRunner
from rich.console import Console

from acceptance.command import MODELS, cnnlint, cnnlint_process
from cnnlint.cli.commands import commands
from cnnlint.report.json import json_schema
from cnnlint.report.summary_text import render
from cnnlint.report.view import View
from cnnlint.results import LayerSummary, ModelSummary, SummaryReport, SupportedBy

SEED = MODELS / "seed_cnn.onnx"
FORMULAS = {
    "(16 × 2 × 2 × 3) + 16 = 208", "(32 × 2 × 2 × 16) + 32 = 2,080", "(64 × 2 × 2 × 32) + 64 = 8,256",
    "(133 × 64) + 133 = 8,645",
}  # fmt: skip


def summary(*args):
    return CliRunner().invoke(commands, ["summary", *map(str, args)])


def test_the_formulas_of_the_seed_are_shown_with_its_numbers():
    shown = summary(SEED, "--explain").output
    lines = {line.strip().removeprefix("parameters").strip() for line in shown.splitlines()}
    assert lines >= FORMULAS
    for extent, following in ((224, 223), (223, 111), (111, 110), (110, 55), (55, 54), (54, 27)):
        assert any(f"⌊({extent} + 0 − 2) / " in line and line.endswith(f"+ 1 = {following}") for line in lines)


def test_the_table_and_totals_of_the_seed():
    shown = summary(SEED).output
    lines = shown.splitlines()
    (first,) = [line for line in lines if line.startswith("conv2d ")]
    assert first.split()[1:4] == ["Conv", "16×223×223", "208"]
    assert any(line.split() == ["parameters", "19,189"] for line in lines)
    assert "formulas" not in shown
    assert "pattern           INPUT -> [CONV -> RELU -> POOL]*3 -> GAP -> FC" in lines


def test_the_summary_as_json_is_exact_and_fits_its_schema():
    document = json.loads(summary(SEED, "--format", "json").output)
    jsonschema.validate(document, json_schema("summary"))
    (model,) = document["models"]
    assert (model["parameters"], model["file_bytes"]) == (19_189, SEED.stat().st_size)
    assert [layer["parameters"] for layer in model["layers"] if layer["parameters"]] == [208, 2_080, 8_256, 8_645]
    assert {layer["formula"] for layer in model["layers"] if layer["formula"]} == FORMULAS
    convolutions = [layer["output_shape"] for layer in model["layers"] if layer["kind"] == "Conv"]
    assert convolutions == [[16, 223, 223], [32, 110, 110], [64, 54, 54]]


def test_a_model_that_cannot_be_read_is_an_error_and_the_others_are_shown(tmp_path):
    (tmp_path / "empty.onnx").write_bytes(b"")
    done = cnnlint("summary", "empty.onnx", SEED, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("cnnlint: error: empty.onnx: ")
    assert "19,189" in done.stdout


@pytest.mark.parametrize("columns", [50, 60, 80, 100])
def test_the_summary_stays_within_the_terminal(columns, tmp_path):
    done = cnnlint("summary", SEED.name, "--explain", cwd=SEED.parent, COLUMNS=str(columns))
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= columns
    assert any("19,189" in line for line in lines)
    assert any("16×223×223" in line and "208" in line for line in lines)


def row(name, **fields):
    given = {
        "kind": "Dense", "output_shape": (10,), "parameters": 110, "macs": 100, "receptive_field": None, **fields
    }  # fmt: skip
    return LayerSummary(name=name, **given)


def lines_of(*layers, **totals):
    report = SummaryReport(models=(ModelSummary(path="m", format="onnx", layers=layers, **totals),))
    return render(report, View(), explain=True).splitlines()


def test_shared_weights_are_bracketed_and_named():
    lines = lines_of(
        row("first", formula="(10 × 10) + 10 = 110"),
        row("second", formula="(10 × 10) + 10 = 110", shared_with="first"),
        parameters=110,
    )
    assert any(line.startswith("second") and "(110)" in line for line in lines)
    assert any("shared with first" in line for line in lines)


def test_what_is_unknown_is_said_to_be_unknown():
    lines = lines_of(row("custom", macs=None, output_shape=None, parameters=0), macs=None, parameters=0)
    (custom,) = [line for line in lines if line.startswith("custom")]
    assert custom.split() == ["custom", "Dense", "?", "-", "?", "?", "-"]
    assert "MACs per sample   unknown" in lines


def test_a_note_says_why_a_number_is_unknown():
    note = "MACs are unknown: shapes at conv are not known in numbers; give the input a size: --input x=1x3x8x8"
    text = " ".join(" ".join(lines_of(row("conv"), parameters=110, notes=(note,))).split())
    assert f"note {note}" in text


def test_trainable_parameters_are_told_where_the_format_says():
    lines = lines_of(row("dense"), parameters=110, trainable_parameters=100)
    assert "parameters        110 (100 trainable, 10 not)" in lines


def test_names_with_square_brackets_are_no_markup():
    lines = lines_of(row("block[0]/[red]conv"), parameters=110)
    assert any(line.startswith("block[0]/[red]conv") for line in lines)


def test_the_table_of_many_layers_is_not_laid_out_by_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    def layers(count: int) -> SummaryReport:
        row = {"kind": "Activation", "output_shape": (3, 8, 8), "parameters": 0, "macs": 0, "receptive_field": (1, 1)}
        rows = tuple(LayerSummary(name=f"relu{index}", **row) for index in range(count))
        return SummaryReport(cnnlint="1", models=(ModelSummary(path="m.onnx", format="onnx", layers=rows),))

    printed = list[int]()
    lines = Console.render_lines
    monkeypatch.setattr(Console, "render_lines", lambda *given, **named: printed.append(1) or lines(*given, **named))
    counts = list[int]()
    for count in (10, 1000):
        printed.clear()
        text = render(layers(count), View())
        assert sum("relu" in line for line in text.splitlines()) == count
        counts.append(len(printed))
    assert counts[0] == counts[1]


def two_inputs(*batches):
    """Return a network whose two inputs have a convolution each, with these batches."""
    kernel = onnx.helper.make_tensor("w", onnx.TensorProto.FLOAT, [4, 3, 3, 3], [0.0] * 108)
    nodes, ends = [], ([], [])
    for name, batch in zip("ab", batches, strict=True):
        nodes.append(onnx.helper.make_node("Conv", [name, "w"], [f"{name}_out"], name=f"conv_{name}"))
        ends[0].append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [batch, 3, 8, 8]))
        ends[1].append(onnx.helper.make_tensor_value_info(f"{name}_out", onnx.TensorProto.FLOAT, [batch, 4, 6, 6]))
    graph = onnx.helper.make_graph(nodes, "net", ends[0], ends[1], [kernel])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize(
    ("batches", "per", "macs"),
    [
        ((2, 2), "sample", 2 * 6 * 6 * 4 * 27),
        ((2, 3), "run", 5 * 6 * 6 * 4 * 27),
    ],
)
def test_totals_of_a_run_are_called_that_wherever_they_stand(batches, per, macs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    onnx.save(two_inputs(*batches), "net.onnx")
    assert f"MACs per {per}" in summary("net.onnx").output
    (model,) = json.loads(summary("net.onnx", "--format", "json").output)["models"]
    assert (model["per"], model["macs"]) == (per, macs)
    held = cnnlint("net.onnx", "--static", "--max-macs", macs, "--max-params", 1, cwd=tmp_path).stdout
    assert f"kept  MACs per {per}" in held
    over = cnnlint("net.onnx", "--static", "--max-macs", macs - 1, cwd=tmp_path).stdout
    assert f"The network has {macs:,} MACs per {per}, 1 over the budget" in over


def test_the_oldest_release_that_supports_a_file_is_told_with_what_is_not_documented():
    model = ModelSummary(
        path="a.onnx", format="onnx", supported_by=(SupportedBy("onnxruntime", "1.9", ("com.example",)),)
    )
    text = render(SummaryReport(models=(model,)), View(width=100))
    assert "onnxruntime 1.9 and newer, by its documentation; operators of com.example aside" in text
    none = ModelSummary(path="a.onnx", format="onnx", supported_by=(SupportedBy("onnxruntime", None),))
    assert "no documented release of onnxruntime" in render(SummaryReport(models=(none,)), View(width=100))


@pytest.mark.parametrize("columns", [60, 80, 140])
def test_no_name_that_fits_the_terminal_is_cut(columns):
    names = [f"features_{index}_depthwise_convolution_of_stage" for index in range(3)] + ["short"] * 9
    shape = (16, 112, 112)
    rows = [
        LayerSummary(name=name, kind="Conv", output_shape=shape, parameters=1, macs=1, receptive_field=(3, 3))
        for name in names
    ]
    text = render(
        SummaryReport(models=(ModelSummary(path="a.onnx", format="onnx", layers=tuple(rows)),)), View(width=columns)
    )
    lines = text.splitlines()
    assert max(map(len, lines)) <= columns
    assert all(any(line.startswith(name) for line in lines) for name in names)
    assert "…" not in text


def unicoded(text):
    return any(ord(sign) > 127 for sign in text)


@pytest.mark.parametrize("columns", [60, 80, 140])
@pytest.mark.parametrize("name", ["seed_cnn", "resnet_style", "branches"])
def test_plots_stay_within_the_terminal_and_reach_from_the_first_layer_to_the_last(columns, name):
    done = cnnlint("summary", "--plot", MODELS / f"{name}.onnx", COLUMNS=str(columns))
    plot = done.stdout.partition("activation memory over the layers")[2]
    assert max(map(len, plot.splitlines())) <= columns
    (base,) = [line for line in plot.splitlines() if "└" in line]
    filled = [line for line in plot.splitlines() if "│" in line]
    assert len(filled[-1]) == len(base), "the lowest line has something at every layer"


def test_the_plot_of_memory_is_highest_at_the_peak_and_names_it():
    (model,) = json.loads(summary(SEED, "--format", "json").output)["models"]
    alive = [layer["alive_bytes"] for layer in model["layers"]]
    assert max(alive) == model["peak_activation_bytes"]
    plot = summary(SEED, "--plot").output.partition("activation memory")[2].splitlines()
    top = plot[1].partition("│")[2]
    each = len(next(line for line in plot if "└" in line).partition("└")[2]) // len(alive)
    drawn = {at // each for at, sign in enumerate(top) if sign != " "}
    assert drawn == {at for at, number in enumerate(alive) if number > max(alive) * 8.1 / 9}
    peak = model["layers"][alive.index(max(alive))]["name"]
    assert any(line.strip().startswith("peak of 6.97 MB at " + peak) for line in plot)


@pytest.mark.parametrize("path", sorted(MODELS.glob("*.onnx")), ids=lambda path: path.stem)
def test_costs_of_stages_come_to_those_of_the_model(path):
    (model,) = json.loads(summary(path, "--format", "json").output)["models"]
    for cost in ("parameters", "macs"):
        assert sum(stage[cost] for stage in model["stages"]) == model[cost]
    rows = [layer for layer in model["layers"] if layer["merged_into"] is None and layer["kind"] != "Input"]
    for stage in model["stages"]:
        assert stage["layers"] == sum(layer["stage"] == stage["name"] for layer in rows)


def test_what_is_unknown_is_not_drawn():
    report = SummaryReport(models=(ModelSummary(path="m", format="onnx", layers=(row("custom"),)),))
    assert "per sample\nunknown\n" in render(report, View(), plot=True)


def test_plots_on_a_terminal_without_unicode_are_in_ascii():
    done = cnnlint_process("summary", "--plot", SEED, PYTHONUTF8="0", PYTHONIOENCODING="ascii")
    assert not unicoded(done.stdout)
    assert "?" not in done.stdout
    assert "^111x111" in done.stdout
    assert "#####" in done.stdout


def test_a_plot_is_for_the_terminal():
    done = cnnlint("summary", "--plot", "--format", "json", SEED)
    assert done.returncode == 2
    assert "--plot draws in the terminal" in done.stderr


def test_a_wide_terminal_gives_its_columns_to_tables_and_not_to_prose(tmp_path):
    proto = onnx.load(MODELS / "seed_cnn.onnx")
    for node in proto.graph.node:
        node.name = f"{'x' * 60}_{node.name}"
    onnx.save(proto, tmp_path / "m.onnx")
    lines = cnnlint("summary", tmp_path / "m.onnx", COLUMNS="140").stdout.splitlines()
    assert 100 < len(lines[1]) <= 140
    assert lines[1].split() == ["layer", "kind", "output", "parameters", "MACs", "memory", "field"]
    assert sum(line.startswith("x" * 60) for line in lines[2 : lines.index("")]) >= len(proto.graph.node) - 4
    below = lines[lines.index("") :]
    assert any(line.startswith("head ") for line in below)
    assert max(map(len, below)) <= 100
