"""The Python interface, and the lint of whole models from end to end."""

from __future__ import annotations

import ast
import subprocess
import sys
import textwrap
import tomllib
from datetime import date
from pathlib import Path

import msgspec
import onnx
import pytest

import cnnlint
import networks
from cnnlint.engine.config.settings import Flags
from cnnlint.errors import ConfigError, ModelError, RuleError
from cnnlint.frontends.notation import to_onnx
from cnnlint.linting.linter import Linter
from cnnlint.linting.models import OnnxFile, RemoteModel

ROOT = Path(__file__).parents[2]
FLAT = networks.FLAT
"""Its one dense layer of 4 · 8 · 8 · 10 + 10 parameters stands on a flattened map."""


def codes(report: cnnlint.ModelReport) -> list[str]:
    return [finding.code for finding in report.findings]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def configure(folder: Path, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cnnlint.toml").write_text(textwrap.dedent(text), encoding="utf-8")


def test_a_lint_reports_the_numbers_and_findings_of_a_file(folder):
    path = networks.write(folder / "flat.onnx", FLAT)
    (model,) = cnnlint.lint(path, static=True).models
    assert (model.path, model.format, model.error) == (path, "onnx", None)
    assert model.parameters == (4 * 27 + 4) + (4 * 8 * 8 * 10 + 10)
    assert model.macs == 8 * 8 * 4 * 27 + 4 * 8 * 8 * 10
    assert model.weight_bytes == 4 * model.parameters
    assert "FC001" in codes(model)


def test_run_time_checks_are_on_unless_static_is_asked_for(folder):
    onnx.save(to_onnx(FLAT), folder / "net.onnx")
    reports = [cnnlint.lint("net.onnx", near_misses=True, static=static).models[0] for static in (None, True)]
    running, static = ({finding.code: finding.verification for finding in report.findings} for report in reports)
    assert running.keys() >= {"FC002"}
    assert running["FC002"] is not None
    assert running["FC002"].equivalent
    assert static["FC002"] is None


def of_no_path(report):
    """Return the report without its path and without the fingerprints, which are of the path too."""
    findings = tuple(msgspec.structs.replace(finding, fingerprint="") for finding in report.findings)
    return msgspec.structs.replace(report, path="", findings=findings)


def test_an_onnx_model_in_memory_gives_what_its_file_gives(folder):
    model = to_onnx(FLAT)
    onnx.save(model, folder / "flat.onnx")
    in_memory, in_file = cnnlint.lint([model, "flat.onnx"]).models
    assert in_memory.path == f"<onnx.ModelProto {model.graph.name}>"
    assert of_no_path(in_memory) == of_no_path(in_file)


@pytest.mark.slow
@pytest.mark.tf
def test_a_live_keras_model_gives_what_its_file_gives(folder):
    script = """
        import keras, msgspec, cnnlint, os, glob, tempfile
        model = keras.Sequential([
            keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3, activation="relu", name="conv"),
            keras.layers.Flatten(name="flat"), keras.layers.Dense(10, name="head"),
        ], name="cnn")
        model.save("cnn.keras")
        live, file = cnnlint.lint([model, "cnn.keras"]).models
        assert live.path == "<keras.Model cnn>", live.path
        assert live.error is None, live.error
        # a fingerprint is of the path too
        told = [
            [msgspec.structs.replace(finding, fingerprint="") for finding in report.findings] for report in (live, file)
        ]
        assert told[0] == told[1]
        assert msgspec.structs.replace(live, path=file.path, findings=file.findings) == file
        assert live.parameters == model.count_params()
        graph = cnnlint.load(model)
        kernel = next(weight for weight in graph.weights if weight.role == "kernel")
        assert (kernel.values() == model.get_layer("conv").get_weights()[0]).all()
        kept = graph.__dict__["held_in"].path
        assert os.path.isdir(kept)
        del graph, kernel
        assert not os.path.exists(kept)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_what_is_no_model_is_an_error():
    with pytest.raises(ModelError, match=r"this int is not a model"):
        cnnlint.lint(7)


def test_a_folder_of_models_is_said_to_be_one_without_tensorflow(folder):
    networks.write(folder / "a.onnx")
    for ask in (cnnlint.load, cnnlint.fix, lambda path: cnnlint.diff(path, path)):
        with pytest.raises(ModelError, match=r"is a folder and no SavedModel \(give the models in it\)"):
            ask(folder)
    assert "is a folder and no SavedModel" in str(cnnlint.lint(folder))


def test_one_bad_file_among_good_ones_does_not_stop_the_others(folder):
    networks.write(folder / "a.onnx")
    networks.write(folder / "c.onnx")
    (folder / "b.onnx").write_bytes(b"\x00\x01 not a model")
    report = cnnlint.lint(["a.onnx", "b.onnx", "c.onnx", "gone.onnx"], static=True)
    assert [model.error is None for model in report.models] == [True, False, True, False]
    assert report.models[1].error.startswith("b.onnx: ")
    assert report.exit_code == 2


def test_a_fault_of_cnnlint_itself_is_an_error_of_that_model_alone(folder, monkeypatch):
    networks.write(folder / "a.onnx")
    networks.write(folder / "b.onnx")
    real = OnnxFile.graph
    monkeypatch.setattr(
        OnnxFile, "graph", lambda self, inputs=None: 1 / 0 if self.path == "a.onnx" else real(self, inputs)
    )
    bad, good = cnnlint.lint(["a.onnx", "b.onnx"], static=True).models
    assert "ZeroDivisionError" in bad.error
    assert "\n" not in bad.error
    assert good.error is None


def test_the_exit_code_follows_severity_and_fail_on(folder):
    path = networks.write(folder / "flat.onnx", FLAT)
    worst = {"static": True, "select": ["FC001"]}
    assert cnnlint.lint(path, **worst).exit_code == 0
    assert cnnlint.lint(path, **worst, fail_on="warning").exit_code == 1
    assert cnnlint.lint(path, **worst, severity={"FC": "error"}).exit_code == 1
    assert cnnlint.lint(path, **worst, severity={"FC001": "error"}, fail_on="never").exit_code == 0
    configure(folder, "fail-on = 'warning'")
    assert cnnlint.lint(path, **worst).exit_code == 1
    assert cnnlint.lint(path, **worst, isolated=True).exit_code == 0


def test_each_model_takes_the_configuration_nearest_to_it(folder):
    for where in ("strict", "lax", "elsewhere"):
        networks.write(folder / where / "flat.onnx", FLAT)
    configure(folder / "strict", "[severity]\nFC001 = 'error'")
    configure(folder / "lax", "ignore = ['FC001']")
    strict, lax, elsewhere = cnnlint.lint(
        ["strict/flat.onnx", "lax/flat.onnx", "elsewhere/flat.onnx"], static=True, extend_select=()
    ).models
    assert strict.worst() == "error"
    assert "FC001" not in codes(lax)
    assert elsewhere.worst() == "warning"


def test_a_model_outside_every_project_takes_the_configuration_of_the_working_directory(folder, monkeypatch):
    path = networks.write(folder / "cache/flat.onnx", FLAT)
    configure(folder / "project", "ignore = ['FC001']")
    assert "FC001" in codes(cnnlint.lint(path, static=True).models[0])
    monkeypatch.chdir(folder / "project")
    assert "FC001" not in codes(cnnlint.lint(path, static=True).models[0])
    assert "FC001" not in codes(cnnlint.lint(to_onnx(FLAT), static=True).models[0])


def test_findings_come_most_severe_first_and_then_in_the_order_of_the_graph(folder):
    path = networks.write(folder / "flat.onnx", FLAT)
    (model,) = cnnlint.lint(path, static=True, pedantic=True, budget=cnnlint.Budget(params=1)).models
    assert codes(model)[0] == "BG001"
    ranks = [finding.severity.rank for finding in model.findings]
    assert ranks == sorted(ranks, reverse=True)


def test_ignores_of_the_configuration_hide_and_are_counted(folder):
    path = networks.write(folder / "models/flat.onnx", FLAT)
    (before,) = cnnlint.lint(path, static=True).models
    configure(folder, "[per-model-ignores]\n'models/*.onnx' = ['FC001: historical']")
    (after,) = cnnlint.lint(path, static=True).models
    assert codes(after) == [code for code in codes(before) if code != "FC001"]
    assert after.suppressed == before.suppressed + 1


def test_an_ignore_at_layers_hides_there_only(folder):
    path = networks.write(folder / "flat.onnx", FLAT)
    layer = next(f.layers[0] for f in cnnlint.lint(path, static=True).models[0].findings if f.code == "FC001")
    configure(folder, f"[per-model-ignores]\n'flat.onnx#{layer[:2]}*' = ['FC001']")
    assert "FC001" not in codes(cnnlint.lint(path, static=True).models[0])
    configure(folder, "[per-model-ignores]\n'flat.onnx#another' = ['FC001']")
    assert {"FC001", "CF001"} <= set(codes(cnnlint.lint(path, static=True).models[0]))


def test_a_model_says_itself_what_to_ignore(folder):
    path = networks.write(folder / "flat.onnx", FLAT, metadata={"cnnlint.ignore.FC001": "*: position matters here"})
    (heard,) = cnnlint.lint(path, static=True).models
    assert "FC001" not in codes(heard)
    assert heard.suppressed == 1
    (unheard,) = (Linter(Flags(static=True, model_ignores=False)).lint(path),)
    assert "FC001" in codes(unheard)
    assert unheard.suppressed == 0


def test_a_budget_does_not_hear_what_the_model_says_about_itself(folder):
    path = networks.write(folder / "flat.onnx", FLAT, metadata={"cnnlint.ignore.BG001": "*: let me through"})
    (model,) = cnnlint.lint(path, static=True, budget=cnnlint.Budget(params=10)).models
    assert "BG001" in codes(model)
    assert not model.budgets[0].passed
    assert cnnlint.lint(path, static=True, budget=cnnlint.Budget(params=10)).exit_code == 1


@pytest.mark.parametrize(
    ("metadata", "code", "said"),
    [
        ({"cnnlint.ignore.FC001": "fc1"}, "CF002", "is not of the form"),
        ({"cnnlint.ignore.FC999": "fc1: because"}, "CF002", "names no rule"),
        ({"cnnlint.ignore.FC004": "fc1: because"}, "CF002", "FC004 was split into AC002 redundant-activation, AC003"),
        ({"cnnlint.ignore.large-kernel": "*: old"}, "CF002", "is now called prefer-small-kernel-stack (CV001)"),
        ({"cnnlint.ignore.FC001": "*: old (until 2020-01)"}, "CF003", "has not been honored since 2020-02-01"),
        ({"cnnlint.ignore.FC003": "fc1: because"}, "CF001", "hides nothing"),
    ],
)
def test_bad_expired_and_unused_ignores_are_reported_and_not_honored(folder, metadata, code, said):
    path = networks.write(folder / "flat.onnx", FLAT, metadata=metadata)
    (model,) = cnnlint.lint(path, static=True).models
    assert "FC001" in codes(model)
    (found,) = [finding for finding in model.findings if finding.code == code]
    assert said in found.message
    assert code not in codes(cnnlint.lint(path, static=True, ignore=["CF"]).models[0])


def test_an_ignore_of_a_rule_that_did_not_run_is_not_called_unused(folder):
    metadata = {"cnnlint.ignore.RT001": "*: needs a custom operator", "cnnlint.ignore.AR001": "*: my style"}
    path = networks.write(folder / "flat.onnx", FLAT, metadata=metadata)
    assert "CF001" not in codes(cnnlint.lint(path, static=True).models[0])
    pedantic = cnnlint.lint(path, static=True, pedantic=True).models[0]
    assert [f for f in pedantic.findings if f.code == "CF001" and "RT001" in f.message] == []


def linted_under_a_glob(folder: Path, selector: str, *nets: str) -> list[list[str]]:
    (folder / "cnnlint.toml").write_text(f'[per-model-ignores]\n"*.onnx" = ["{selector}: ours"]\n')
    paths = [networks.write(folder / f"{index}.onnx", net) for index, net in enumerate(nets)]
    return [codes(model) for model in cnnlint.lint(paths, static=True).models]


POOLED = FLAT.replace("-> FLATTEN", "-> GAP -> FLATTEN")


def test_an_ignore_by_glob_that_hides_something_in_one_model_is_of_use_in_the_run(folder):
    for nets in ((FLAT, POOLED), (POOLED, FLAT)):
        assert not any("CF001" in found for found in linted_under_a_glob(folder, "FC001", *nets))


def test_an_ignore_by_glob_that_hides_nothing_is_reported_once_a_run(folder):
    found = linted_under_a_glob(folder, "FC003", FLAT, POOLED, FLAT)
    assert ["CF001" in each for each in found] == [True, False, False]


def test_what_a_model_that_cannot_be_read_would_need_ignored_is_not_known(folder):
    (folder / "broken.onnx").write_bytes(b"\x08")
    (folder / "cnnlint.toml").write_text('[per-model-ignores]\n"*.onnx" = ["FC003: ours"]\n')
    path = networks.write(folder / "flat.onnx", FLAT)
    report = cnnlint.lint([path, str(folder / "broken.onnx")], static=True)
    assert report.models[1].error
    assert "CF001" not in codes(report.models[0])


def test_an_ignore_holds_until_its_day(folder):
    path = networks.write(folder / "flat.onnx", FLAT, metadata={"cnnlint.ignore.FC001": "*: old (until 2027-01)"})
    flags = Flags(static=True)
    assert "FC001" not in codes(Linter(flags, today=date(2027, 1, 31)).lint(path))
    late = Linter(flags, today=date(2027, 2, 1)).lint(path)
    assert {"FC001", "CF003"} <= set(codes(late))


def test_passing_budgets_are_shown_with_their_margin(folder):
    path = networks.write(folder / "net.onnx")
    (model,) = cnnlint.lint(path, static=True, budget=cnnlint.Budget(params="1 k", message="small")).models
    (held,) = model.budgets
    assert (held.measured, held.limit, held.margin, held.passed, held.message) == (162, 1000, 838, True, "small")
    assert "BG001" not in codes(model)


def test_budgets_of_the_configuration_meet_the_models_of_their_glob(folder):
    configure(folder, "[[budgets]]\nmodels = 'edge/*.onnx'\nparams = 100")
    edge, cloud = networks.write(folder / "edge/net.onnx"), networks.write(folder / "cloud/net.onnx")
    over, free = cnnlint.lint([edge, cloud], static=True).models
    assert "BG001" in codes(over)
    assert free.budgets == ()


def test_a_budget_that_matches_no_model_stops_the_run(folder):
    configure(folder, "[[budgets]]\nmodels = 'egde/*.onnx'\nparams = 100")
    path = networks.write(folder / "edge/net.onnx")
    with pytest.raises(ConfigError, match=r"the budget for egde/\*\.onnx matches no model"):
        cnnlint.lint(path, static=True)


def test_selecting_other_rules_does_not_drop_budgets(folder):
    path = networks.write(folder / "net.onnx")
    (model,) = cnnlint.lint(path, static=True, select=["BN"], budget=cnnlint.Budget(params=1)).models
    assert codes(model) == ["BG001"]


def test_rule_files_and_options_come_from_the_configuration(folder):
    (folder / "lint").mkdir()
    (folder / "lint/ours.py").write_text(
        textwrap.dedent('''
            from cnnlint import LayerRule
            from cnnlint.graph.layers import Conv

            class NarrowConv(LayerRule[Conv], code="OUR001"):
                """A convolution has few filters."""

                least: int = 1

                def check(self, layer, context):
                    if layer.filters < self.least:
                        yield self.finding(layer, message="narrow", evidence={"filters": layer.filters})
        ''')
    )
    path = networks.write(folder / "net.onnx")
    configure(folder, "rule-files = ['lint/ours.py']")
    assert "OUR001" not in codes(cnnlint.lint(path, static=True).models[0])
    configure(folder, "rule-files = ['lint/ours.py']\n[rules.OUR001]\nleast = 8")
    assert "OUR001" in codes(cnnlint.lint(path, static=True).models[0])
    assert "OUR001" in codes(
        cnnlint.lint(
            path, static=True, isolated=True, rule_files=["lint/ours.py"], rules={"OUR001": {"least": 5}}
        ).models[0]
    )


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"select": ["FC99"]}, ConfigError), ({"severity": {"FC001": "high"}}, ConfigError),
        ({"rules": {"FC001": {"x": 1}}}, ConfigError), ({"rule_files": ["gone.py"]}, RuleError),
        ({"config": "gone.toml"}, ConfigError), ({"budget": cnnlint.Budget(params="many")}, ConfigError),
    ],
)  # fmt: skip
def test_a_wrong_argument_is_raised_and_not_put_into_the_report(folder, arguments, error):
    path = networks.write(folder / "net.onnx")
    with pytest.raises(error):
        cnnlint.lint(path, static=True, **arguments)


def test_a_config_that_ignores_an_unknown_rule_is_wrong(folder):
    configure(folder, "[per-model-ignores]\n'*' = ['FC99']")
    with pytest.raises(ConfigError, match=r"cnnlint\.toml:2: there is no rule FC99"):
        cnnlint.lint(networks.write(folder / "net.onnx"), static=True)


def test_notes_say_what_rules_could_not_see(folder):
    (notes,) = (cnnlint.lint(to_onnx("INPUT 16 -> FC 8 -> RELU -> FC 2"), static=True).models[0].notes,)
    assert any("no convolution" in note for note in notes)


def test_a_report_prints_and_shows_itself(folder):
    path = networks.write(folder / "flat.onnx", FLAT)
    report = cnnlint.lint([path, "gone.onnx"], static=True)
    assert "flatten-dense-dominates" in str(report)
    assert "gone.onnx" in str(report)
    assert "flatten-dense-dominates" not in repr(report)
    assert "Failed" not in report._repr_html_()
    assert "Not done" in report._repr_html_()
    live = cnnlint.api.linting.Report(models=(msgspec.structs.replace(report.models[0], path="<keras>"),))
    assert "<keras" not in live._repr_html_()


def test_a_report_is_the_same_json_as_its_base(folder):
    report = cnnlint.lint(networks.write(folder / "net.onnx"), static=True)
    plain = cnnlint.LintReport(schema=report.schema, cnnlint=report.cnnlint, models=report.models)
    assert msgspec.json.encode(report) == msgspec.json.encode(plain)
    assert msgspec.json.decode(msgspec.json.encode(report), type=cnnlint.LintReport) == plain


def test_a_summary_holds_models_and_errors(folder):
    path = networks.write(folder / "net.onnx")
    good, bad = cnnlint.summarize([path, "gone.onnx"]).models
    assert good.parameters == 162
    assert bad.error is not None
    assert "162" in str(cnnlint.summarize(path))


def test_inputs_give_open_dims_their_extents(folder):
    model = to_onnx("INPUT 3x32x32 -> CONV 4 3x3 -> RELU -> GAP -> FC 10")
    for axis, name in ((2, "height"), (3, "width")):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = name
    del model.graph.value_info[:]
    onnx.save(model, folder / "open.onnx")
    name = model.graph.input[0].name
    assert cnnlint.lint("open.onnx", static=True).models[0].macs is None
    (model_report,) = cnnlint.lint("open.onnx", static=True, inputs={name: (1, 3, 16, 16)}).models
    assert model_report.macs == 16 * 16 * 4 * 27 + 4 * 10
    (budgeted,) = cnnlint.lint("open.onnx", static=True, budget=cnnlint.Budget(macs="1 T")).models
    assert "BG001" in codes(budgeted)


def test_the_version_is_that_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert cnnlint.__version__ == project["version"]


def test_every_public_name_can_be_imported_and_is_listed():
    for name in cnnlint.__all__:
        assert getattr(cnnlint, name) is not None
    assert set(cnnlint.__all__) <= set(dir(cnnlint))
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = cnnlint.nonsense


def test_built_in_rules_import_from_cnnlint_alone_what_a_plugin_could():
    for file in (ROOT / "rules" / "cnnlint_rules").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "cnnlint":
                assert node.module == "cnnlint", f"{file.name} imports from {node.module}"
                assert {alias.name for alias in node.names} <= {*cnnlint.__all__, "limits"}, file.name


def loaded_after(script: str, folder: Path) -> set[str]:
    """Return the top-level modules that a fresh interpreter holds after running `script`."""
    code = f"{script}\nimport sys\nprint(' '.join({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_is_cheap(folder):
    loaded = loaded_after("import cnnlint", folder)
    assert not loaded & {"numpy", "onnx", "onnxruntime", "h5py", "msgspec", "click", "rich", "cnnlint_rules"}


def test_a_static_lint_of_an_onnx_file_imports_nothing_heavy(folder):
    networks.write(folder / "flat.onnx", FLAT)
    loaded = loaded_after("import cnnlint; cnnlint.lint('flat.onnx', static=True)", folder)
    assert "cnnlint_rules" in loaded
    assert not loaded & {
        "numpy",
        "onnx",
        "onnxruntime",
        "h5py",
        "tensorflow",
        "keras",
        "rich",
        "click",
        "importlib_metadata",
    }


def test_run_time_checks_that_cannot_be_made_are_noted(folder, monkeypatch):
    networks.write(folder / "net.onnx")
    graph = cnnlint.load("net.onnx")
    monkeypatch.setattr(RemoteModel, "graph", lambda self, inputs=None: graph)
    (remote,) = cnnlint.lint("s3://bucket/net.onnx").models
    assert remote.error is None
    assert any("were left out" in note for note in remote.notes)
    assert not any("run time" in note for note in cnnlint.lint("net.onnx").models[0].notes)
