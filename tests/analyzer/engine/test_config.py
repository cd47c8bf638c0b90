"""The configuration: where it is found, what it comes to, and what is said when it is wrong."""

from __future__ import annotations

import json
import tomllib
from datetime import date
from pathlib import Path

import jsonschema
import pytest

from cnnlint.engine.config import Flags, find_document, read_document, resolve
from cnnlint.engine.config.binding import bind, make_rule
from cnnlint.engine.config.load import key_lines
from cnnlint.engine.config.schema import BudgetTable, config_schema
from cnnlint.engine.config.settings import listing, matches
from cnnlint.engine.registry import load_rules
from cnnlint.errors import ConfigError, RuleError
from cnnlint.linting.linter import Linter
from cnnlint.results import Severity

ROOT = Path(__file__).parents[3]
RULES = load_rules()

FULL = """
select = ["FC", "BN002"]
extend-select = ["ACME"]
ignore = ["FC005"]
fail-on = "warning"
pedantic = true
static = true
model-ignores = false
rule-files = ["lint/ours.py"]

[severity]
FC001 = "info"

[inputs]
input = "1x3x224x224"
"images:0" = "1×3×64×64"

[per-model-ignores]
"models/legacy/*.onnx" = ["FC001"]
"models/legacy/*.onnx#backbone/*" = ["BN002: frozen since 2019 (until 2027-01)"]

[rules.FC001]
min-share = 0.3

[[budgets]]
models = "models/edge/*.onnx"
params = "5 M"
weight-bytes = "20 MiB"
message = "fits the sensor"

[[budgets]]
models = ["a.onnx", "b.onnx"]
layer-share = "50 %"
"""


def config(folder: Path, text: str, name: str = "cnnlint.toml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def refused(folder: Path, text: str) -> str:
    """Return what is said of a configuration that is wrong, the path cut down to the file's name."""
    path = config(folder, text)
    with pytest.raises(ConfigError) as raised:
        resolve(read_document(path), Flags())
    return str(raised.value).replace(str(path), "cnnlint.toml")


def test_every_key_is_read(tmp_path):
    settings = resolve(read_document(config(tmp_path, FULL)), Flags())
    assert settings.requests[0].select == ("FC", "BN002")
    assert (settings.fail_on, settings.pedantic, settings.static, settings.model_ignores) == (
        "warning",
        True,
        True,
        False,
    )
    assert settings.severity == {"FC001": Severity.INFO}
    assert settings.inputs == {"input": (1, 3, 224, 224), "images:0": (1, 3, 64, 64)}
    assert settings.rule_files == (tmp_path / "lint/ours.py",)
    assert settings.rules == {"FC001": {"min-share": 0.3}}
    limits = [limit for budget in settings.budgets for limit in budget.limits()]
    assert [(limit.quantity, limit.most) for limit in limits] == [
        ("params", 5_000_000), ("weight_bytes", 20 * 2**20), ("layer_share", 0.5),
    ]  # fmt: skip


def test_a_pyproject_gives_the_same_as_a_file_of_its_own(tmp_path):
    own = resolve(read_document(config(tmp_path, FULL)), Flags())
    tables = FULL.replace("[[", "[[tool.cnnlint.").replace("\n[r", "\n[tool.cnnlint.r")
    tables = tables.replace("[severity", "[tool.cnnlint.severity").replace("[inputs", "[tool.cnnlint.inputs")
    tables = tables.replace("[per-model", "[tool.cnnlint.per-model")
    path = config(tmp_path, f"[project]\nname = 'x'\n[tool.cnnlint]{tables}", "pyproject.toml")
    shared = resolve(read_document(path), Flags())
    for key in ("requests", "severity", "inputs", "budgets", "rules", "rule_files"):
        ours, theirs = getattr(own, key), getattr(shared, key)
        assert str(ours).replace("cnnlint.toml", "pyproject.toml") == str(theirs)


def test_ignores_of_models_and_layers_carry_reason_and_end(tmp_path):
    settings = resolve(read_document(config(tmp_path, FULL)), Flags())
    whole, layers = settings.ignores_for(str(tmp_path / "models/legacy/old.onnx"))
    assert (whole.selector, whole.layers, whole.reason) == ("FC001", (), "")
    assert (layers.selector, layers.layers) == ("BN002", ("backbone/*",))
    assert (layers.reason, layers.until) == ("frozen since 2019", date(2027, 2, 1))
    assert layers.origin.endswith("cnnlint.toml:20")
    assert settings.ignores_for(str(tmp_path / "models/new.onnx")) == ()


def test_budgets_are_those_of_the_globs_that_fit(tmp_path):
    settings = resolve(read_document(config(tmp_path, FULL)), Flags(budgets=(BudgetTable(macs="1 G"),)))
    edge = settings.budgets_for(str(tmp_path / "models/edge/net.onnx"))
    assert [limit.quantity for budget in edge for limit in budget.limits()] == ["params", "weight_bytes", "macs"]
    named = settings.budgets_for(str(tmp_path / "deep/down/a.onnx"))
    assert [limit.quantity for budget in named for limit in budget.limits()] == ["layer_share", "macs"]


def test_the_nearest_file_counts_and_a_pyproject_without_the_table_does_not(tmp_path):
    config(tmp_path, "fail-on = 'info'")
    config(tmp_path / "a", "[tool.ruff]", "pyproject.toml")
    config(tmp_path / "a/b", "[tool.cnnlint]\nfail-on = 'never'", "pyproject.toml")
    (tmp_path / "a/b/c").mkdir()
    assert find_document(tmp_path / "a/b/c").path == tmp_path / "a/b/pyproject.toml"
    assert find_document(tmp_path / "a").path == tmp_path / "cnnlint.toml"
    config(tmp_path / "a/b", "fail-on = 'error'")
    assert find_document(tmp_path / "a/b/c").path == tmp_path / "a/b/cnnlint.toml"


def test_flags_outweigh_the_file_and_tables_merge(tmp_path):
    flags = Flags(
        fail_on="never", pedantic=False, static=False, model_ignores=True, inputs={"input": "2x3x32x32"},
        severity={"BN002": Severity.ERROR}, rules={"FC001": {"min-share": 0.5}},
    )  # fmt: skip
    settings = resolve(read_document(config(tmp_path, FULL)), flags)
    assert (settings.fail_on, settings.pedantic, settings.static, settings.model_ignores) == (
        "never",
        False,
        False,
        True,
    )
    assert settings.inputs == {"input": (2, 3, 32, 32), "images:0": (1, 3, 64, 64)}
    assert settings.severity == {"FC001": Severity.INFO, "BN002": Severity.ERROR}
    assert settings.rules == {"FC001": {"min-share": 0.5}}


def test_each_setting_knows_where_it_comes_from(tmp_path):
    path = config(tmp_path, FULL)
    said = {
        setting.key: (setting.value, setting.origin.replace(str(path), "cnnlint.toml"))
        for setting in listing(read_document(path), Flags(fail_on="never", inputs={"input": "1x1"}))
    }
    assert said["select"] == (["FC", "BN002"], "cnnlint.toml:2")
    assert said["fail-on"] == ("never", "--fail-on")
    assert said["severity.FC001"] == ("info", "cnnlint.toml:12")
    assert said["inputs.input"] == ("1x1", "--input")
    assert said["inputs.images:0"][1] == "cnnlint.toml:16"
    assert said["rules.FC001.min-share"] == (0.3, "cnnlint.toml:23")
    assert {setting.origin for setting in listing(None, Flags())} == {"default"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\nslect = ['FC']", "cnnlint.toml:2: slect: unknown key (did you mean select?)"),
        ("[[budgets]]\nparms = 1", "cnnlint.toml:2: budgets[1].parms: unknown key (did you mean params?)"),
        ("fail-on = 'warn'", "cnnlint.toml:1: fail-on: there is no 'warn' (did you mean warning?)"),
        ("pedantic = 1", "cnnlint.toml:1: pedantic: expected true or false, got a whole number"),
        ("select = 'FC'", "cnnlint.toml:1: select: expected a list, got a string"),
        (
            "[severity]\nFC001 = 'high'",
            "cnnlint.toml:2: severity.FC001: there is no 'high' (one of info, warning, error)",
        ),
        (
            "\n[[budgets]]\nmodels = '*'\nparams = '5 MB'",
            "'5 MB' is not a number (write a number such as 5000000 or 5 M)",
        ),
        ("[[budgets]]\nmodels = '*'", "a budget limits nothing"),
        ("[inputs]\nx = '1x3xHxW'", "cnnlint.toml:2: inputs.x: '1x3xHxW' is not a shape"),
        ("[inputs]\nx = '1x0'", "is not a shape"),
        ("[per-model-ignores]\n'*' = ['FC001: why (until May)']", "'May' is not a date"),
        ("select = [", "cnnlint.toml: is not valid TOML"),
    ],
)
def test_what_is_wrong_is_named_with_file_line_and_key(tmp_path, text, said):
    assert said in refused(tmp_path, text)


def test_a_missing_or_unreadable_file_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="there is no such configuration file"):
        read_document(tmp_path / "gone.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"binary\.toml: cannot be read"):
        read_document(tmp_path / "binary.toml")
    with pytest.raises(ConfigError, match=r"has no \[tool\.cnnlint\] table"):
        read_document(config(tmp_path, "[tool.ruff]", "pyproject.toml"))


@pytest.mark.parametrize(
    ("rule", "options", "said"),
    [
        ("FC001", {"min-shar": 0.3}, "rules.FC001.min-shar: FC001 has no such option (did you mean min-share?)"),
        ("FC001", {"min-share": "much"}, "rules.FC001.min-share: expected a number, got a string"),
        ("FC001", {"min-share": 7}, "rules.FC001.min-share: expected float <= 1.0"),
        ("EX001", {"min-bytes": -1}, "rules.EX001.min-bytes: expected int >= 0"),
        ("CF001", {"x": 1}, "rules.CF001.x: CF001 has no such option (it has none)"),
    ],
)
def test_options_are_checked_by_the_rule(rule, options, said):
    with pytest.raises(ConfigError) as raised:
        make_rule(RULES.by_code[rule], options, place=rule)
    assert str(raised.value) == said


def test_options_bind_to_the_rule_by_code_or_name(tmp_path):
    for name in ("FC001", "flatten-dense-dominates"):
        settings = resolve(read_document(config(tmp_path, f"[rules.{name}]\nmin-share = 0.5")), Flags())
        (rule,) = bind([RULES.by_code["FC001"]], settings, RULES, "net.onnx")
        assert rule.min_share == 0.5
    wrong = resolve(read_document(config(tmp_path, "\n[rules.FC01]\nmin-share = 0.5")), Flags())
    with pytest.raises(ConfigError, match=r"cnnlint\.toml:2: there is no rule FC01"):
        bind([], wrong, RULES, "net.onnx")


def test_a_budget_that_fits_no_model_and_no_file_is_an_error(tmp_path):
    document = read_document(config(tmp_path, FULL))
    settings = resolve(document, Flags())
    run = (str(tmp_path / "models/edge/net.onnx"),)
    with pytest.raises(
        ConfigError, match=r"cnnlint\.toml:31: budgets\[2\]: the budget for a\.onnx, b\.onnx matches no model"
    ):
        settings.check_globs(run)
    (tmp_path / "b.onnx").touch()
    settings.check_globs(run)
    settings.check_globs(())


def test_an_unused_ignore_is_only_reported_when_all_its_models_were_looked_at(tmp_path):
    settings = resolve(read_document(config(tmp_path, FULL)), Flags())
    models = [tmp_path / "models/legacy" / name for name in ("a.onnx", "b.onnx")]
    models[0].parent.mkdir(parents=True)
    for model in models:
        model.touch()
    both = frozenset(model.resolve() for model in models)
    assert [ignore.reportable for ignore in settings.for_run(both).ignores_for(str(models[0]))] == [True, True]
    one = frozenset([models[0].resolve()])
    assert [ignore.reportable for ignore in settings.for_run(one).ignores_for(str(models[0]))] == [False, False]


@pytest.mark.parametrize(
    ("glob", "model", "fits"),
    [
        ("*.onnx", "net.onnx", True), ("*.onnx", "deep/down/net.onnx", True), ("net.onnx", "deep/net.onnx", True),
        ("*.onnx", "net.keras", False), ("models/*.onnx", "models/net.onnx", True),
        ("models/*.onnx", "models/deep/net.onnx", False), ("models/**/*.onnx", "models/deep/er/net.onnx", True),
        ("models/**/*.onnx", "models/net.onnx", True), ("**/net.onnx", "a/b/net.onnx", True),
        ("models/**", "models/a/net.onnx", True), ("models/n?t.onnx", "models/nat.onnx", True),
        ("models/n?t.onnx", "models/n/t.onnx", False), ("other/*.onnx", "models/net.onnx", False),
        ("models/v1.0+a.onnx", "models/v1.0+a.onnx", True), ("models/v1.0.onnx", "models/v1x0.onnx", False),
        ("models/[1].onnx", "models/[1].onnx", True), ("saved", "deep/saved/", True),
    ],
)  # fmt: skip
def test_globs_are_read_as_gitignore_reads_them(tmp_path, monkeypatch, glob, model, fits):
    monkeypatch.chdir(tmp_path)
    assert matches(glob, model, tmp_path) is fits
    assert matches(glob, str(tmp_path / model), tmp_path) is fits
    assert matches(glob, f"./x/../{model}", tmp_path) is fits


def test_a_glob_meets_models_outside_its_root_by_name_or_absolute_path(tmp_path):
    model = str(tmp_path / "elsewhere/net.onnx")
    root = tmp_path / "project"
    assert matches("net.onnx", model, root)
    assert not matches("elsewhere/net.onnx", model, root)
    assert matches(f"{tmp_path}/elsewhere/*.onnx", model, root)


def test_a_model_in_memory_is_met_by_what_stands_for_it(tmp_path):
    assert matches("<keras.Model cnn>", "<keras.Model cnn>", tmp_path)
    assert matches("*", "<keras.Model cnn>", tmp_path)
    assert not matches("*.onnx", "<keras.Model cnn>", tmp_path)


def test_lines_of_keys_are_found():
    lines = key_lines(FULL)
    said = {path: FULL.splitlines()[number - 1] for path, number in lines.items()}
    assert said["select",].startswith("select")
    assert said["inputs", "images:0"].startswith('"images:0"')
    assert said["budgets", 1, "layer-share"].startswith("layer-share")
    assert said["rules", "FC001"] == "[rules.FC001]"


def test_the_published_schema_is_fresh():
    builtin = [rule for rule in RULES if rule.__module__.partition(".")[0] in {"cnnlint", "cnnlint_rules"}]
    published = json.loads((ROOT / "docs/schema/config.schema.json").read_text(encoding="utf-8"))
    assert published == config_schema(builtin), "run python docs/generate.py"


def test_the_schema_accepts_what_is_read_and_refuses_what_is_not():
    schema = config_schema(RULES)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert list(validator.iter_errors(tomllib.loads(FULL))) == []
    for wrong in (
        "slect = ['FC']",
        "fail-on = 'warn'",
        "pedantic = 1",
        "[rules.FC001]\nmin-shar = 1",
        "[[budgets]]\nx = 1",
    ):
        assert list(validator.iter_errors(tomllib.loads(wrong))), wrong


def test_the_example_in_the_documentation_is_read(tmp_path):
    text = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    example = text.partition("```toml\n")[2].partition("```")[0]
    document = read_document(config(tmp_path, example))
    settings = resolve(document, Flags())
    selectors = [*settings.requests[0].select, *settings.requests[0].extend_select, *settings.requests[0].ignore]
    assert [selector for selector in selectors if not RULES.matching(selector)] == []
    bind([], settings, RULES, "net.onnx")
    assert list(jsonschema.Draft202012Validator(config_schema(RULES)).iter_errors(tomllib.loads(example))) == []
    assert {setting.origin for setting in listing(document, Flags())} != {"default"}


@pytest.mark.parametrize(
    "text",
    [
        "pedantic = " + "9" * 5000,
        f"a{'.a' * 20_000} = 1",
        f"x = {'[' * 20_000}",
    ],
    ids=["digits", "parts", "depth"],
)
def test_a_configuration_that_no_reader_takes_is_named_at_once(text, tmp_path):
    path = tmp_path / "cnnlint.toml"
    path.write_text(text + "\n")
    with pytest.raises(ConfigError, match=r"cnnlint\.toml"):
        read_document(path)


def test_a_wildcard_within_a_name_crosses_folders_in_globs_of_budgets_too(tmp_path):
    from cnnlint.engine.config.settings import files

    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("a/x.onnx", "a/b/y.onnx", "z.onnx"):
        (tmp_path / name).write_bytes(b"")
    assert {path.name for path in files("a/**.onnx", tmp_path)} == {"x.onnx", "y.onnx"}
    assert {path.name for path in files("**.onnx", tmp_path)} == {"x.onnx", "y.onnx", "z.onnx"}
    assert files("z**q", tmp_path) == []


@pytest.mark.parametrize(
    "key", ['rule-files = ["{}"]', '[per-model-inputs."{}"]\nx = "1x3x8x8"', '[[budgets]]\nmodels = "{}"']
)
def test_a_name_that_no_file_can_have_is_one_that_is_not_there(tmp_path, key):
    (tmp_path / "cnnlint.toml").write_text(key.format("a" * 3000) + "\n")
    with pytest.raises((ConfigError, RuleError)):
        Linter(config=tmp_path / "cnnlint.toml", models=["net.onnx"]).plan("net.onnx")
