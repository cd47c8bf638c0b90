"""Where rules come from: installed packages, local files, and what is refused."""

from __future__ import annotations

import ast
import importlib.metadata
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

import cnnlint_rules
from cnnlint.engine.registry import entry_points, load_rules
from cnnlint.errors import ConfigError, RuleError

RULE = '''
    from collections.abc import Iterator

    from cnnlint import Context, LayerRule, NearMiss
    from cnnlint.graph.layers import Conv
    from cnnlint.engine.rule import Diagnostic


    class WideConv(LayerRule[Conv], code="ACME001"):
        """A convolution has very many filters."""

        most: int = 512

        def check(self, layer: Conv, context: Context) -> Iterator[Diagnostic | NearMiss]:
            """Yield convolutions of more than `most` filters."""
            if layer.filters > self.most:
                yield self.finding(layer, message="wide", evidence={"filters": layer.filters})
'''


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Return a folder on sys.path; what is imported from it is forgotten afterward."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        del sys.modules[name]


def install(site: Path, package: str, modules: dict[str, str], *, entry: str | None = None, info: str = "dist-info"):
    """Lay out a package as pip would."""
    for name, source in modules.items():
        file = site / package / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(source))
    metadata = site / f"{package}-1.2.{info}"
    metadata.mkdir()
    (metadata / ("METADATA" if info == "dist-info" else "PKG-INFO")).write_text(f"Name: {package}\nVersion: 1.2\n")
    (metadata / "entry_points.txt").write_text(
        f"[console_scripts]\nacme = acme:main\n\n[cnnlint.rules]\n{package} = {entry or package}\n"
    )


def codes_in_source() -> set[str]:
    """Return the codes that the built-in rules' sources state, without importing them."""
    found = set()
    for file in Path(cnnlint_rules.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                found |= {ast.literal_eval(word.value) for word in node.keywords if word.arg == "code"}
    return found


def test_every_rule_that_the_built_in_pack_defines_is_found():
    rules = load_rules()
    found = {rule.code for rule in rules if rule.__module__.startswith("cnnlint_rules.")}
    assert found == codes_in_source()
    assert len(found) >= 8


def test_rules_come_sorted_by_code_and_twice_the_same():
    first, second = load_rules(), load_rules()
    assert first.rules == second.rules
    assert [rule.code for rule in first] == sorted(rule.code for rule in first)


@pytest.mark.parametrize("group", ["cnnlint.rules", "console_scripts", "pytest11", "no.such.group"])
def test_entry_points_are_those_that_importlib_finds(group):
    found = {(point.name, point.value.replace(" ", "")) for point in entry_points(group, sys.path)}
    truth = {(point.name, point.value.replace(" ", "")) for point in importlib.metadata.entry_points(group=group)}
    assert found == {(name, value.partition("[")[0]) for name, value in truth}


@pytest.mark.parametrize("info", ["dist-info", "egg-info"])
def test_a_third_party_package_brings_rules_by_its_entry_point(site, info):
    install(site, "acme_rules", {"__init__": "", "convs": RULE}, info=info)
    rules = load_rules()
    rule = rules.by_code["ACME001"]
    assert rule.name == "wide-conv"
    assert rule().most == 512
    assert rules.origins["ACME001"] == "acme_rules 1.2"
    assert rules.matching("ACME") == (rule,)


def test_a_package_in_a_zip_file_brings_rules(site):
    install(site, "acme_zipped", {"__init__": "", "convs": RULE})
    archive = site.parent / "acme.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in site.rglob("*"):
            file.write(path, path.relative_to(site))
    points = entry_points("cnnlint.rules", [str(archive)])
    assert [(point.distribution, point.value) for point in points] == [("acme_zipped 1.2", "acme_zipped")]


def test_of_two_packages_of_one_name_the_first_on_the_path_counts(tmp_path):
    for folder, module in (("first", "acme.new"), ("second", "acme.old")):
        (tmp_path / folder).mkdir()
        install(tmp_path / folder, "acme", {"__init__": ""}, entry=module)
    points = entry_points("cnnlint.rules", [str(tmp_path / "first"), str(tmp_path / "second")])
    assert [point.value for point in points] == ["acme.new"]


def test_a_local_file_brings_rules_and_may_be_named_like_a_library(tmp_path):
    file = tmp_path / "numpy.py"
    file.write_text(textwrap.dedent(RULE))
    rules = load_rules([file])
    assert rules.origins["ACME001"] == str(file)
    import numpy

    assert hasattr(numpy, "ndarray")
    assert "ACME001" not in load_rules().by_code


def test_a_rule_that_a_plugin_imports_is_not_the_plugins(tmp_path):
    file = tmp_path / "more.py"
    builtin = load_rules().rules[0]
    file.write_text(
        f"from {builtin.__module__} import {builtin.__name__}\n" + textwrap.dedent(RULE).replace("ACME001", "ACME002")
    )
    rules = load_rules([file])
    assert rules.by_code[builtin.code] is builtin
    assert "ACME002" in rules.by_code


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("ACME001", "BG001"), "two rules claim BG001"),
        (("WideConv", "OverBudget"), "two rules claim over-budget"),
    ],
)
def test_two_rules_of_one_code_or_name_are_an_error_that_names_both(tmp_path, change, complaint):
    file = tmp_path / "clash.py"
    file.write_text(textwrap.dedent(RULE).replace(*change))
    with pytest.raises(RuleError, match=complaint) as raised:
        load_rules([file])
    assert "cnnlint_rules.budget" in str(raised.value)
    assert str(file) in str(raised.value)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("ACME001", "ACME1", "not a family of letters and three digits"),
        ('"""A convolution has very many filters."""', "", "has no docstring"),
        ("LayerRule[Conv]", "LayerRule", "names no kind"),
        ("def check", "def inspect", "has no check"),
        ("LayerRule[Conv]", "Rule", "has no scope"),
        ("LayerRule[Conv]", "PatternRule", "has no pattern"),
        ("from cnnlint.graph.layers import Conv", "from cnnlint.graph.layers import Convolution", "ImportError"),
    ],
)
def test_a_malformed_rule_is_an_error_that_names_file_and_fault(tmp_path, old, new, complaint):
    file = tmp_path / "faulty.py"
    source = textwrap.dedent(RULE).replace("import Context,", "import Context, PatternRule, Rule,")
    assert old in source
    file.write_text(source.replace(old, new))
    with pytest.raises(RuleError, match=complaint) as raised:
        load_rules([file])
    assert "faulty" in str(raised.value)


def test_a_missing_rule_file_is_an_error(tmp_path):
    with pytest.raises(RuleError, match=r"gone\.py: there is no such rule file"):
        load_rules([tmp_path / "gone.py"])


def test_a_plugin_that_cannot_be_imported_is_named(site):
    install(site, "acme_broken", {"__init__": "import no_such_module_at_all"})
    with pytest.raises(RuleError, match=r"plugin acme_broken 1\.2: .*no_such_module_at_all"):
        load_rules()


def test_an_entry_point_that_names_an_object_is_refused(site):
    install(site, "acme_object", {"__init__": RULE}, entry="acme_object:WideConv")
    with pytest.raises(RuleError, match="names an object"):
        load_rules()


def test_no_rules_at_all_is_an_error(tmp_path):
    with pytest.raises(RuleError, match="no rules found"):
        load_rules(path=[str(tmp_path)])


def test_a_rule_answers_to_its_code_and_name_and_a_family_to_its_letters():
    rules = load_rules()
    over_budget = rules.by_code["BG001"]
    assert rules.get("bg001") is over_budget
    assert rules.require("over-budget") is over_budget
    assert {rule.code for rule in rules.matching("CF")} == {code for code in rules.by_code if code.startswith("CF")}
    assert rules.matching("all") == rules.rules
    assert rules.matching("") == ()


@pytest.mark.parametrize(("typed", "meant"), [("BG01", "BG001"), ("over-budged", "over-budget"), ("zzzzzz", "lists")])
def test_an_unknown_rule_is_answered_with_the_closest(typed, meant):
    with pytest.raises(ConfigError, match=meant):
        load_rules().require(typed)


FC004 = "was split into AC002 redundant-activation, AC003 hidden-softmax, HD001 softmax-single-unit, "
FC004 += "HD002 missing-output-activation and HD003 loss-head-mismatch"
"""What became of the code that five smells had."""


@pytest.mark.parametrize(
    ("former", "said"),
    [
        ("FC004", f"FC004 {FC004}"),
        ("fc004", f"fc004 {FC004}"),
        ("output-activation", f"output-activation {FC004}"),
        ("large-kernel", "large-kernel is now called prefer-small-kernel-stack (CV001)"),
    ],
)
def test_a_code_or_name_of_old_is_answered_with_its_successors(former, said):
    rules = load_rules()
    assert rules.matching(former) == ()
    with pytest.raises(ConfigError) as raised:
        rules.require(former)
    assert str(raised.value) == said


@pytest.mark.parametrize(
    ("old", "new", "claimed"),
    [('"ACME001"', '"FC004"', "FC004"), ("WideConv", "OutputActivation", "output-activation"),
     ("WideConv", "LargeKernel", "large-kernel"),
     ('code="ACME001"', 'code="ACME001", replaces=("ACME001",)', "ACME001")],
)  # fmt: skip
def test_a_rule_that_claims_a_code_or_name_of_old_is_an_error(tmp_path, old, new, claimed):
    file = tmp_path / "late.py"
    file.write_text(textwrap.dedent(RULE).replace(old, new))
    with pytest.raises(RuleError, match=f"claims {claimed}, but {claimed} (was split into|is now called)") as raised:
        load_rules([file])
    assert str(file) in str(raised.value)


def test_a_plugin_says_too_what_its_rules_replace(tmp_path):
    file = tmp_path / "new.py"
    file.write_text(textwrap.dedent(RULE).replace('"ACME001"', '"ACME002", replaces=("ACME001", "broad-conv")'))
    rules = load_rules([file])
    assert str(rules.unknown("ACME001")) == "ACME001 is now called wide-conv (ACME002)"
    assert str(rules.unknown("broad-conv", where="x.toml")) == "x.toml: broad-conv is now called wide-conv (ACME002)"
