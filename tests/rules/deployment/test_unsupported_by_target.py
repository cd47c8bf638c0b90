"""DP001: what is said of a file that a named release does not support, and where the targets come from."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

import cnnlint
import networks
from cnnlint.cli.commands import commands
from cnnlint.errors import ConfigError
from cnnlint.testing import findings
from cnnlint_rules.deployment.unsupported_by_target import UnsupportedByTarget

GELU = """<ir_version: 9, opset_import: ["" : 20]>
    gelu (float[1, 3, 8, 8] x) => (float[1, 3, 8, 8] y) { h = Relu (x) y = Gelu (h) }"""
RELU = GELU.replace("h = Relu (x) y = Gelu (h)", "y = Relu (x)")


def said(text: str, *targets: str) -> list[cnnlint.Finding]:
    return list(findings(UnsupportedByTarget, text, targets=targets))


def test_the_operator_that_is_too_new_and_the_smallest_release_are_named() -> None:
    (found,) = said(GELU, "onnxruntime==1.16")
    assert "onnxruntime 1.16 supports opset 19 of ai.onnx at most, and the file has 20" in found.message
    assert "Gelu came with 20" in found.message
    assert "The oldest release that is documented to support the file is 1.17." in found.message
    assert found.evidence == {"opset of ai.onnx": 20, "opset of ai.onnx_limit": 19}
    assert found.severity == "error"


def test_an_opset_whose_operators_have_not_changed_is_told_as_such() -> None:
    (found,) = said(RELU, "onnxruntime==1.16")
    assert "(none of its operators has changed since)" in found.message


def test_operators_that_changed_are_named_apart_from_new_ones() -> None:
    (found,) = said(GELU, "onnxruntime==1.5")
    assert "Relu changed in 14" in found.message
    assert "supports IR version 7 at most, and the file has 9" in found.message


def test_a_type_that_is_too_new_is_named_with_its_tensor() -> None:
    text = """<ir_version: 9, opset_import: ["" : 19]>
        net (float[4] x, int4[4] packed) => (float[4] y) { y = Relu (x) }"""
    (found,) = said(text, "onnxruntime==1.17")
    assert "does not know the type int4 (packed), which came with IR version 10" in found.message
    assert "1.18." in found.message


def test_an_opset_older_than_documented_is_a_warning_without_a_release() -> None:
    (found,) = said(RELU.replace("20", "6").replace("9,", "3,"), "onnxruntime==1.17")
    assert "supports opset 7 of ai.onnx at least, and the file has 6" in found.message
    assert "No release up to" in found.message
    assert found.severity == "warning"


def test_each_target_is_a_finding_of_its_own_and_one_that_supports_the_file_is_none() -> None:
    found = said(GELU, "onnxruntime==1.15", "onnxruntime==1.16", "onnxruntime==1.17", "onnxruntime==1.16.3")
    assert [each.message.partition(" supports")[0] for each in found] == ["onnxruntime 1.15", "onnxruntime 1.16"]
    assert len({each.places[0].identity for each in found}) == 2


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A network of opset 15 and IR version 8 or so, which onnxruntime 1.5 does not load."""
    path = tmp_path / "net.onnx"
    networks.write(path)
    return path


def codes(*arguments: str) -> tuple[int, list[str]]:
    result = CliRunner().invoke(commands, ("--static", "--format", "concise", *arguments))
    return result.exit_code, [line for line in result.output.splitlines() if "DP001" in line]


def test_the_command_line_the_configuration_and_python_name_targets(model: Path) -> None:
    assert codes("--isolated", str(model)) == (0, [])
    status, lines = codes("--isolated", "--for", "onnxruntime==1.5", str(model))
    assert status == 1
    assert len(lines) == 1
    (model.parent / "cnnlint.toml").write_text('for = ["onnxruntime==1.5"]\n')
    assert codes(str(model)) == (1, lines)
    assert codes("--for", "onnxruntime==1.32", str(model)) == (0, [])  # what is said on the command line outweighs it
    report = cnnlint.lint(model, static=True, isolated=True, for_=["onnxruntime==1.5"])
    assert [each.code for each in report.models[0].findings if each.code == "DP001"] == ["DP001"]


def test_it_runs_whatever_rules_are_selected_and_the_model_itself_cannot_silence_it(model: Path) -> None:
    import onnx

    proto = onnx.load(str(model))
    proto.metadata_props.add(key="cnnlint.ignore.DP001", value="we ship our own runtime")
    onnx.save(proto, str(model))
    assert codes("--isolated", "--select", "FC", "--for", "onnxruntime==1.5", str(model))[0] == 1
    assert codes("--isolated", "--ignore", "DP001", "--for", "onnxruntime==1.5", str(model))[0] == 0


def test_a_target_that_nothing_is_known_of_ends_the_run_and_names_its_line(model: Path) -> None:
    (model.parent / "cnnlint.toml").write_text('select = ["FC"]\nfor = ["onnxruntime==99"]\n')
    with pytest.raises(ConfigError, match=r"cnnlint\.toml:2"):
        cnnlint.lint(model, static=True)
    with pytest.raises(ConfigError, match="documented releases"):
        cnnlint.lint(model, static=True, isolated=True, rules={"DP001": {"targets": ["onnxruntime==99"]}})


def test_the_rule_says_why_it_is_silent(model: Path) -> None:
    def reasons(*targets: str) -> list[str]:
        report = cnnlint.lint(model, static=True, isolated=True, for_=targets, near_misses=True)
        return [miss.reason for miss in report.models[0].near_misses["DP001"]]

    assert reasons() == ["no runtime is named"]
    (reason,) = reasons("onnxruntime==1.32")
    assert "onnxruntime 1.32 supports its IR version and opsets" in reason


def test_no_table_is_read_and_no_parser_loaded_where_no_target_is_named(model: Path) -> None:
    import subprocess
    import sys

    script = (
        "import sys, cnnlint\n"
        f"cnnlint.lint({str(model)!r}, static=True, isolated=True)\n"
        "print('cnnlint.frontends.onnx.targets' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
