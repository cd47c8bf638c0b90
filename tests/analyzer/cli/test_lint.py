import json
import re

import jsonschema
import pytest
from click.testing import CliRunner

from acceptance.command import MODELS, cnnlint, cnnlint_process
from cnnlint.cli.commands import commands
from cnnlint.report.json import json_schema

SEED, SMELLY = MODELS / "seed_cnn.onnx", MODELS / "smelly.onnx"

CODE = " " * 13
"""Code of a suggestion is never broken, so that it can be copied."""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """No configuration but the test's own is found."""
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


def lint(*args):
    return CliRunner().invoke(commands, ["lint", "--static", *map(str, args)])


def linted(*args):
    return json.loads(lint("--format", "json", *args).stdout)["models"]


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ((SEED,), 0),
        ((SMELLY,), 1),
        ((SMELLY, "--exit-zero"), 0),
        ((SMELLY, "--fail-on", "never"), 0),
        ((SEED, "--fail-on", "info"), 1),
        ((SEED, "--max-params", "19189"), 0),
        ((SEED, "--max-params", "19188"), 1),
        ((SEED, "--max-params", "1", "--exit-zero"), 0),
        (("missing.onnx",), 2),
        (("missing.onnx", "--exit-zero"), 2),
        (("*.onnx",), 2),
        ((SEED, "missing.onnx"), 2),
        ((SEED, "--select", "XY999"), 2),
        ((SEED, "--config", "missing.toml"), 2),
        ((SEED, "--max-params", "many"), 2),
        ((SEED, "--input", "nonsense"), 2),
        ((SEED, "--isolated", "--config", "x.toml"), 2),
    ],
)
def test_exit_codes(args, code):
    assert lint(*args).exit_code == code


def test_errors_go_to_stderr_and_do_not_stop_the_other_models(tmp_path):
    (tmp_path / "empty.onnx").write_bytes(b"")
    done = cnnlint("--static", "empty.onnx", SEED, "gone.keras", cwd=tmp_path)
    assert done.returncode == 2
    errors = done.stderr.splitlines()
    assert all(line.startswith("cnnlint: error: ") for line in errors)
    assert {line.split(": ")[2] for line in errors} == {"empty.onnx", "gone.keras"}
    assert "19,189 parameters" in done.stdout
    assert "error:" not in done.stdout


def test_the_message_for_a_bad_amount_names_the_option():
    assert "cnnlint: error: --max-macs many: " in lint(SEED, "--max-macs", "many").stderr


def test_json_fits_the_published_schema_and_counts_exactly():
    shown = lint("--format", "json", SEED, SMELLY, "--max-params", "5M")
    document = json.loads(shown.stdout)
    jsonschema.validate(document, json_schema("lint"))
    seed = document["models"][0]
    assert (seed["format"], seed["parameters"], seed["weight_bytes"]) == ("onnx", 19_189, 4 * 19_189)
    # 223² × 16 × 2² × 3 + 110² × 32 × 2² × 16 + 54² × 64 × 2² × 32 + 64 × 133
    assert seed["macs"] == 9_547_968 + 24_780_800 + 23_887_872 + 8_512
    (budget,) = seed["budgets"]
    assert (budget["measured"], budget["limit"], budget["margin"], budget["passed"]) == (
        19_189, 5_000_000, 4_980_811, True,
    )  # fmt: skip


def test_a_report_goes_to_files_too(tmp_path):
    shown = lint(SMELLY, "--output", "json=out.json", "--output", "concise=out.txt", "--color", "always")
    assert shown.exit_code == 1
    assert "\x1b[" in shown.stdout
    document = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    lines = (tmp_path / "out.txt").read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(document["models"][0]["findings"]) + 1
    assert not any("\x1b" in line for line in lines)


def test_the_summary_of_a_step_is_added_to_and_never_overwritten(tmp_path, monkeypatch):
    summary = tmp_path / "summary.md"
    summary.write_text("# Tests\n", encoding="utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    for model in (SMELLY, SEED):
        lint(model, "--output", f"markdown={summary}", "--output", "markdown=own.md")
    text = summary.read_text(encoding="utf-8")
    assert text.startswith("# Tests\n")
    assert text.count("## cnnlint\n") == 2
    assert (tmp_path / "own.md").read_text(encoding="utf-8").count("## cnnlint\n") == 1


def test_an_output_that_cannot_be_written_is_an_error():
    done = lint(SEED, "--output", "json=no/such/folder/out.json")
    assert done.exit_code == 2
    assert "no/such/folder/out.json: the report cannot be written" in done.stderr


def test_an_unknown_output_format_names_the_known_ones():
    done = lint(SEED, "--output", "sarf=x")
    assert done.exit_code == 2
    assert "--output sarf is not known (did you mean sarif?)" in done.stderr


def codes(*args):
    return {finding["code"] for model in linted(*args) for finding in model["findings"]}


def test_rules_are_selected_and_ignored_by_code_name_and_family():
    assert codes(SMELLY, "--select", "FC001,softmax-single-unit") == {"FC001", "HD001"}
    every = codes(SMELLY)
    assert codes(SMELLY, "--ignore", "FC") == {code for code in every if not code.startswith("FC")}
    assert codes(SMELLY, "--select", "FC001", "--extend-select", "CV001", "--extend-select", "AC001") == {
        "FC001", "CV001", "AC001",
    }  # fmt: skip


def test_folders_stand_for_the_models_below_them(tmp_path):
    (tmp_path / "deep" / "deeper").mkdir(parents=True)
    (tmp_path / ".hidden").mkdir()
    for place in ("deep/a.onnx", "deep/deeper/b.onnx", ".hidden/c.onnx", "d.ONNX", "deep/notes.txt"):
        (tmp_path / place).write_bytes(SEED.read_bytes())
    assert [model["path"] for model in linted(".")] == ["d.ONNX", "deep/a.onnx", "deep/deeper/b.onnx"]
    assert [model["path"] for model in linted("deep/**/*.onnx", "deep/a.onnx")] == ["deep/a.onnx", "deep/deeper/b.onnx"]


def test_a_folder_without_models_is_an_error(tmp_path):
    (tmp_path / "empty").mkdir()
    done = lint("empty")
    assert done.exit_code == 2
    assert "empty: no model in this folder" in done.stderr


def test_a_file_whose_name_holds_wildcards_is_taken_as_it_is(tmp_path):
    (tmp_path / "net[1].onnx").write_bytes(SEED.read_bytes())
    assert [model["path"] for model in linted("net[1].onnx")] == ["net[1].onnx"]


@pytest.mark.parametrize(
    ("args", "environment", "colored"),
    [
        ((), {}, False),
        ((), {"FORCE_COLOR": "1"}, True),
        ((), {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        (("--color", "always"), {"NO_COLOR": "1"}, True),
        (("--color", "never"), {"FORCE_COLOR": "1"}, False),
    ],
)
def test_colors_follow_the_option_and_then_the_environment(args, environment, colored, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert ("\x1b[" in lint(SMELLY, *args).stdout) is colored


@pytest.mark.parametrize("columns", ["80", "100", "200"])
def test_lines_stay_within_the_terminal_and_within_100_columns(columns, tmp_path):
    done = cnnlint("--static", SMELLY.name, "--max-params", "1", cwd=SMELLY.parent, COLUMNS=columns)
    lines = [line for line in done.stdout.splitlines() if not line.startswith(CODE)]
    assert lines
    assert max(map(len, lines)) <= min(100, int(columns))


def test_a_terminal_without_unicode_gets_signs_like_those_it_lacks_and_no_traceback(tmp_path):
    done = cnnlint_process("--static", SMELLY, cwd=tmp_path, PYTHONUTF8="0", PYTHONIOENCODING="ascii")
    assert done.returncode == 1
    assert "Windows of 2 x 2 that move by 2 x 2" in " ".join(done.stdout.split())
    assert "?" not in done.stdout
    assert "Traceback" not in done.stderr


def test_verbose_tells_the_time_on_stderr():
    done = lint(SEED, "-v")
    assert re.search(r"cnnlint: note: 1 model in \d+\.\d\d s", done.stderr)


def test_quiet_and_clean_prints_nothing():
    done = lint(SEED, "-q", "--ignore", "ALL")
    assert (done.exit_code, done.output) == (0, "")


def test_settings_are_shown_with_their_origin(tmp_path):
    (tmp_path / "cnnlint.toml").write_text('fail-on = "warning"\nignore = ["PL001"]\n', encoding="utf-8")
    shown = lint("net.onnx", "--show-settings", "--pedantic", "--max-macs", "1G")
    assert shown.exit_code == 0
    lines = [line.split("  #") for line in shown.stdout.splitlines()[1:]]
    settings = {text.strip(): origin.strip() for text, origin in lines}
    assert settings['fail-on = "warning"'].endswith("cnnlint.toml:1")
    assert settings['ignore = ["PL001"]'].endswith("cnnlint.toml:2")
    assert settings["pedantic = true"] == "--pedantic"
    assert settings["--max-macs 1,000,000,000"] == "command line"


def test_a_configuration_is_found_named_or_left_out(tmp_path):
    (tmp_path / "cnnlint.toml").write_text('select = ["FC001"]\n', encoding="utf-8")
    (tmp_path / "other.toml").write_text('select = ["CV001"]\n', encoding="utf-8")
    assert codes(SMELLY) == {"FC001"}
    assert codes(SMELLY, "--config", "other.toml") == {"CV001"}
    assert len(codes(SMELLY, "--isolated")) > 3


def test_weights_without_a_network_are_skipped_on_request(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.attrs["layer_names"] = [b"conv"]
        file.create_dataset("conv/kernel", data=[1.0])
    assert lint("w.h5").exit_code == 2
    done = lint("w.h5", SEED, "--skip-weights-only")
    assert done.exit_code == 0
    assert "cnnlint: note: w.h5 is skipped" in done.stderr
    (tmp_path / "broken.h5").write_bytes(b"not a model")
    assert lint("broken.h5", "--skip-weights-only").exit_code == 2
