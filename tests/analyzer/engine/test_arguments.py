"""What errors say to a caller from Python."""

from __future__ import annotations

import pytest

import cnnlint
import networks
from acceptance.command import MODELS
from acceptance.command import cnnlint as command
from cnnlint.engine.config.arguments import in_python
from cnnlint.engine.config.schema import SETTINGS

SMELLY = str(MODELS / "smelly.onnx")


@pytest.mark.parametrize(
    ("said", "in_words"),
    [
        ("--run-timeout SECONDS allows more", "run_timeout=SECONDS allows more"),
        ("the network is not trained, and --run runs it all the same", "and static=False runs it all the same"),
        ("it selects FC001, and --preview is not set", "and preview=True is not set"),
        ("--run-memory 1 B: 1 B is too little", "run_memory"),
        ("--for: 'x' names no release", "for_: 'x' names no release"),
        ("give the input a size: --input image=1x3x224x224", 'inputs={"image": (1, 3, 224, 224)}'),
        ("--input image=Nx3x8x8 --input size=2, or none", 'inputs={"image": (N, 3, 8, 8), "size": (2,)}, or none'),
        ("give it with --input image=...", 'inputs={"image": (...)}'),
        ("(--allow-config-code /a/b runs them, --ignore-config-code leaves them out)",
         "(allow_config_code='/a/b' runs them, ignore_config_code=True leaves them out)"),
        ("`cnnlint A --write-baseline b.json` writes it", "`cnnlint A --write-baseline b.json` writes it"),
        ("please report this; -v shows the traceback", "please report this"),
        ("a-b--c and x -- y stay", "a-b--c and x -- y stay"),
    ],
)  # fmt: skip
def test_options_become_arguments(said, in_words):
    assert in_words in in_python(said)


@pytest.mark.parametrize("name", [name for name, setting in SETTINGS.items() if setting.option.flag])
def test_every_option_of_a_setting_has_an_argument(name):
    for flag in SETTINGS[name].option.flag.split("/"):
        assert in_python(f"{flag} is to be given").startswith(name)


@pytest.mark.parametrize(
    ("job", "said"),
    [
        (lambda: cnnlint.lint(SMELLY, isolated=True, run_memory="lots"), "run_memory='lots': 'lots' is not a size"),
        (lambda: cnnlint.lint(SMELLY, isolated=True, for_=["tflite"]), "for_: 'tflite' names no release"),
        (lambda: cnnlint.lint(SMELLY, isolated=True, fail_on="eror"), "fail_on='eror' is not known (did you mean"),
        (lambda: cnnlint.lint(SMELLY, isolated=True, min_severity="x"), "write info, warning or error"),
        (lambda: cnnlint.lint(SMELLY, isolated=True, jobs=0), "jobs=0 is no number of processes (write 1 or more)"),
        (lambda: cnnlint.lint(SMELLY, isolated=True, run_timeout=-1), "run_timeout=-1 is no time (write seconds"),
        (lambda: cnnlint.lint(SMELLY, isolated=True, run_timeout=float("nan")), "run_timeout=nan is no time"),
        (lambda: cnnlint.lint(SMELLY, isolated=True, budget=cnnlint.Budget(params=-5)), "-5 is negative"),
        (lambda: cnnlint.fix(SMELLY, select=["XX"]), "arguments: there is no rule XX"),
        (lambda: cnnlint.compare(SMELLY, SMELLY, run_memory="x"), "run_memory='x'"),
        pytest.param(lambda: cnnlint.convert("a.kers", "x.onnx"), "no such file", marks=pytest.mark.tf),
    ],
)  # fmt: skip
def test_an_error_names_the_argument(job, said):
    with pytest.raises(cnnlint.CnnlintError) as raised:
        job()
    assert said in str(raised.value)
    assert "--" not in str(raised.value)


def test_a_report_in_python_speaks_of_arguments_and_that_of_the_command_line_of_options(tmp_path):
    model = networks.write(tmp_path / "a.onnx")
    (of_python,) = cnnlint.lint(MODELS / "seed_cnn.keras", isolated=True)
    assert "which static=False asks for" in of_python.notes[0]
    assert "--run" in command("lint", MODELS / "seed_cnn.keras", "--isolated").stdout
    assert "--run-memory x" in command("compare", model, model, "--run-memory", "x").stderr


@pytest.mark.tf
def test_a_live_model_has_no_file_and_so_no_size():
    import keras

    model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(4, 3), keras.layers.GlobalAvgPool2D()])
    assert cnnlint.summarize(model).models[0].file_bytes is None
    assert "file " not in str(cnnlint.summarize(model))
