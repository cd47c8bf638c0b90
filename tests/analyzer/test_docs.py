import runpy
from importlib.metadata import version
from pathlib import Path

import pytest

from cnnlint.report import FORMATS

GENERATOR = Path(__file__).parents[2] / "docs" / "generate.py"


@pytest.fixture(scope="module")
def generator():
    return runpy.run_path(str(GENERATOR))


@pytest.mark.skipif(version("msgspec").startswith("0.20."), reason="its schemas are worded in another way")
def test_the_generated_pages_are_fresh(generator):
    assert generator["stale"]() == [], "run python docs/generate.py"


def test_a_page_that_was_changed_or_belongs_to_no_rule_is_stale(generator, tmp_path):
    generator["write"](tmp_path)
    assert generator["stale"](tmp_path) == []
    (tmp_path / "rules" / "FC001.md").write_text("edited by hand", encoding="utf-8")
    (tmp_path / "rules" / "ZZ001.md").write_text("a rule of long ago", encoding="utf-8")
    assert generator["stale"](tmp_path) == ["rules/FC001.md", "rules/ZZ001.md"]
    generator["write"](tmp_path)
    assert generator["stale"](tmp_path) == []


def test_every_format_is_documented():
    text = (GENERATOR.parent / "reports.md").read_text(encoding="utf-8")
    assert [form for form in FORMATS if f"| `{form}` |" not in text] == []
