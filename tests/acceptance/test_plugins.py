"""Rules of one's own: from a package by its entry point, and from a file that the configuration names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from acceptance.command import VGG, cnnlint, cnnlint_process

RULE = '''
"""Our house rules."""

from collections.abc import Iterator

from cnnlint import Bad, Confidence, Context, Good, LayerRule, NearMiss, Severity
from cnnlint.results import Advice
from cnnlint.graph.layers import Conv
from cnnlint.engine.rule import Diagnostic


class OddWidth(LayerRule[Conv], code="{code}", severity=Severity.WARNING, confidence=Confidence.EXACT):
    """A convolution has a number of filters that our chip pads.

    ## Why
    It works in groups.

    ## Instead
    Round up.

    ## References
    - The chip's manual.
    """

    multiple: int = 32

    def check(self, layer: Conv, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the filters that are missing to a multiple."""
        if layer.filters % self.multiple:
            yield self.finding(
                layer,
                message=f"The {{layer.filters}} filters are no multiple of {{self.multiple}}.",
                evidence={{"filters": layer.filters}},
                advice=Advice(text="Round up"),
            )

    examples = (Bad("INPUT 3x8x8 -> CONV 12 3x3", at=("conv1",)), Good("INPUT 3x8x8 -> CONV 32 3x3"))
'''


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Install a package with a rule, as pip leaves it, and return its folder."""
    site = tmp_path / "site"
    (site / "acme_rules").mkdir(parents=True)
    (site / "acme_rules" / "__init__.py").write_text(RULE.format(code="ACM001"), encoding="utf-8")
    metadata = site / "acme_rules-1.2.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-rules\nVersion: 1.2\n", encoding="utf-8")
    (metadata / "entry_points.txt").write_text("[cnnlint.rules]\nacme = acme_rules\n", encoding="utf-8")
    return site


def found(*args: object, cwd: Path, **environment: str) -> list[dict[str, str]]:
    run = cnnlint_process if environment else cnnlint
    done = run("lint", VGG, *args, "--static", "--format", "json", cwd=cwd, **environment)
    assert done.stderr == ""
    return json.loads(done.stdout)["models"][0]["findings"]


def test_a_package_brings_rules_by_its_entry_point(package: Path, tmp_path: Path) -> None:
    findings = found("--select", "ACM", cwd=tmp_path, PYTHONPATH=str(package))
    assert {finding["code"] for finding in findings} == {"ACM001"}
    assert findings[0]["message"] == "The 8 filters are no multiple of 32."
    listed = cnnlint_process("rules", "--format", "json", cwd=tmp_path, PYTHONPATH=str(package)).stdout
    (rule,) = [rule for rule in json.loads(listed)["rules"] if rule["code"] == "ACM001"]
    assert (rule["name"], rule["origin"]) == ("odd-width", "acme_rules 1.2")
    assert "The chip's manual" in cnnlint_process("explain", "odd-width", cwd=tmp_path, PYTHONPATH=str(package)).stdout


def test_a_local_file_that_the_configuration_names_brings_rules_and_options(tmp_path: Path) -> None:
    (tmp_path / "lint").mkdir()
    (tmp_path / "lint" / "house.py").write_text(RULE.format(code="HSE001"), encoding="utf-8")
    config = tmp_path / "cnnlint.toml"
    config.write_text("rule-files = ['lint/house.py']\nselect = ['HSE']\n", encoding="utf-8")
    strict = found("--config", config, cwd=tmp_path)
    assert {finding["code"] for finding in strict} == {"HSE001"}
    config.write_text(
        "rule-files = ['lint/house.py']\nselect = ['HSE']\n[rules.HSE001]\nmultiple = 4\n", encoding="utf-8"
    )
    assert found("--config", config, cwd=tmp_path) == []


def test_a_clash_of_codes_is_an_error(package: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        RULE.format(code="ACM001").replace("class OddWidth", "class Other"), encoding="utf-8"
    )
    (tmp_path / "cnnlint.toml").write_text("rule-files = ['mine.py']\n", encoding="utf-8")
    done = cnnlint_process(VGG, "--config", "cnnlint.toml", cwd=tmp_path, PYTHONPATH=str(package))
    assert done.returncode == 2
    assert "ACM001" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("raise RuntimeError('boom')\n", "boom"),
        ("def broken(:\n", "invalid syntax"),
        ("X = 1\n", "there is no rule in this file"),
        (RULE.format(code="HSE001").replace("severity", "name='odd', severity"), "its name is that of its class"),
    ],
)
def test_a_file_of_rules_that_is_none_is_an_error_on_one_line(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "mine.py").write_text(content, encoding="utf-8")
    (tmp_path / "cnnlint.toml").write_text("rule-files = ['mine.py']\n", encoding="utf-8")
    done = cnnlint(VGG, "--config", "cnnlint.toml", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert "mine.py" in line
    assert said in line


def test_a_rule_that_crashes_is_named_and_loses_no_other_finding(tmp_path: Path) -> None:
    crash = RULE.format(code="HSE001").replace("if layer.filters % self.multiple:", "if layer.nothing:")
    (tmp_path / "mine.py").write_text(crash, encoding="utf-8")
    config = tmp_path / "cnnlint.toml"
    config.write_text("rule-files = ['mine.py']\n", encoding="utf-8")
    findings = found("--config", config, cwd=tmp_path)
    told = {finding["code"]: finding for finding in findings}
    assert "FC001" in told
    assert "HSE001" in told["CF004"]["message"]
