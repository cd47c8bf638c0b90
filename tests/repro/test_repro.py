"""Each file that was once answered wrongly, with its right answer.

A row is a run of `cnnlint`: its exit codes, words that must stand in what it says and words that must not, and the
memory that it may take. A static run has 20 seconds of a processor: ten times the promise, a guard against hanging and
no more (the fuzzer asserts the promise itself).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from acceptance.command import cnnlint
from repro.files import BUILT, KEPT, lay

FAULTS = ("failed on this model", "report this", "Traceback", "not enough memory")
"""What no model may make cnnlint say."""

ANY = (0, 1, 2)
STATIC = ("lint", "--static", "--isolated")
RUN = ("lint", "--isolated", "--run-timeout", "5")


class Row(NamedTuple):
    """A run and its right answer.

    Attributes:
        files: The models, laid into an empty folder.
        command: What is run on them.
        codes: Exit codes that are right.
        says: Words that stand on standard output or standard error.
        never: Words that do not.
        seconds: Of a processor; a guard against hanging.
        megabytes: The most that the process may take; None where models are run.
        until: What the row waits for; "" if it holds.
        slow: Whether building the file takes long.
        inside: Whether a run in the test's own process says as much, as long as only a share is tried.
        exhaustive: Whether the row says of another file, or in more time, what a row that always runs says.
    """

    files: tuple[str, ...]
    command: tuple[str, ...] = STATIC
    codes: tuple[int, ...] = ANY
    says: tuple[str, ...] = ()
    never: tuple[str, ...] = FAULTS
    seconds: int = 20
    megabytes: int | None = 300
    until: str = ""
    slow: bool = False
    exhaustive: bool = False
    inside: bool = False


def each(
    names: str, *commands: tuple[str, ...], until: str = "", slow: bool = False, **answer: object
) -> Iterator[Row]:
    """Yield a row for each name and command; `good.onnx` is reported beside the file that is particular."""
    for name in names.split():
        for command in commands or (STATIC,):
            files = ("good.onnx", name)
            yield Row(files, command, until=until, slow=slow, says=("good.onnx",), **answer)  # type: ignore[arg-type]


UNREAD = ("good.onnx", "the weights are unknown: model.weights.h5 unpacks to more than")

SITES = " ".join(sorted(path.name for path in KEPT.glob("site_*.onnx")))

ROWS = [
    # numbers of any size are printed, and a fault in one model never loses the others
    *each("s_dims20.onnx s_bigrank_pool.onnx s_convt16.onnx hugekernel.onnx", STATIC, ("summary",), inside=True),
    *each("s_stride0.onnx f_summary_pool.onnx", STATIC, ("summary",), inside=True),
    *each(
        "k_summary_zip_conv.keras k_summary_zip_pool.keras k_summary_overflow.keras", STATIC, ("summary",), inside=True
    ),
    Row(("s_stride0.onnx", "good.onnx"), ("diff",), inside=True),
    Row(("k_summary_overflow.keras", "good.onnx"), ("diff",), inside=True),
    # static hangs
    *each("s_maxpool_kernel.onnx s_split_seq.onnx s_mul30.onnx s_laughs30.onnx laughs40.onnx convt3000.onnx"),
    *each("s_maxpool_kernel.onnx convt3000.onnx laughs40.onnx", ("summary",)),
    *each("kz_cfg_dicts20m.keras"),
    # static memory
    *each("s_reshape_2p28.onnx s_concat28.onnx concat40.onnx"),
    *each("k_history_2p63.keras k_hdf5_hang.keras"),
    *each("kz_cfg_dicts250m.keras kz_meta_dicts250m.keras", slow=True),
    # weights beyond the limit of unpacking are unknown, and the model is not refused
    Row(("good.onnx", "kz_w_bz1g.keras"), codes=(0,), says=UNREAD),
    Row(("good.onnx", "kz_w_bz1g.keras"), ("summary",), codes=(0,), says=UNREAD),
    Row(("good.onnx", "kz_w_bz1g.keras"), (*STATIC, "--max-params=5M"), codes=(1,), says=UNREAD),
    Row(("good.onnx", "kz_w_lzma.keras"), codes=(0,), says=UNREAD, slow=True),
    # "cnnlint failed on this model"
    *each(
        "s_group0.onnx s_blocksize0.onnx s_resize_nan.onnx s_range.onnx s_reshape_2p40.onnx f_layout_index.onnx",
        inside=True,
    ),
    *each("k_zlib_error.keras k_FC001_zerodiv.keras", inside=True),
    *each(SITES, STATIC, inside=True),
    *each(SITES, ("summary",), codes=(0, 2), inside=True),
    # onnx's inference crashes
    *each("reduce_axis.onnx", STATIC, codes=(1,)),
    *each("reduce_axis.onnx", ("summary",), codes=(0,)),
    *each("f_merge.onnx f_view.onnx", STATIC, ("summary",), codes=(0, 1)),
    # the deepest chain there is room for in 1 MB
    *each("relus.onnx", STATIC, ("summary",), codes=(0,), exhaustive=True),
    # sound models
    Row(("valid_nested_functions.onnx",), codes=(0,), never=(*FAULTS, "two nodes produce", "recursively")),
    Row(("calls200.onnx",), codes=(0,), never=(*FAULTS, "recursively")),
    # external data
    Row(("ext_enum_wrap.onnx",), codes=(2,), says=("ext_enum_wrap.onnx",)),
    # injection into a log
    Row(("wf.onnx",), ("summary",), codes=(0, 2), inside=True),
    Row(("wf.onnx",), inside=True),
    Row(("wf.onnx",), (*STATIC, "--format", "concise"), inside=True),
]

RUNS = [
    Row(("rt_loop.onnx", "good.onnx"), RUN, (2,), ("good.onnx", "RT006"), seconds=120, megabytes=None),
    Row(("rt_slow.onnx", "good.onnx"), RUN, (2,), ("good.onnx", "RT006"), seconds=120, megabytes=None,
        exhaustive=True),
    *(
        Row((f"{name}.onnx", "good.onnx"), RUN, ANY, ("good.onnx",), seconds=120, megabytes=None,
            exhaustive=name != "rt_opaque_32g")
        for name in ("rt_laughs_in_if", "rt_loopmem", "rt_opaque_2p28", "rt_opaque_32g", "rt_double", "rt_cos34",
                     "rt_rec_in_if")
    ),
]  # fmt: skip
"""Runs under onnxruntime: they end, and the other model is reported."""

MEASURE = """
import json, resource, signal, subprocess, sys
seconds = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
try:
    done = subprocess.run(sys.argv[2:], capture_output=True, timeout=10 * seconds)
    code = None if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL) else done.returncode
    said = [done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")]
except subprocess.TimeoutExpired:
    code, said = None, ["", ""]
print(json.dumps([code, *said, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024]))
"""
"""A small process between us and cnnlint: a fork of this one would begin with the memory of this one.

The seconds are those of a processor, as a machine with other work may take any number of others.
"""


def measured(arguments: list[str], folder: Path, seconds: int) -> tuple[int | None, str, str, float]:
    """Run cnnlint in `folder`; return its exit code, None if it hangs, what it wrote, and its memory in MB."""
    command = [sys.executable, "-c", MEASURE, str(seconds), sys.executable, "-m", "cnnlint", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=True)
    return tuple(json.loads(done.stdout))


def marked(row: Row) -> object:
    marks = [getattr(pytest.mark, name) for name in ("slow", "exhaustive") if getattr(row, name)]
    if row.until:
        marks.append(pytest.mark.xfail(strict=True, reason=row.until))
    command = "-".join(word.strip("-") for word in row.command if word.strip("-").isalpha())
    return pytest.param(
        row, id=f"{row.files[-1] if row.files[0] == 'good.onnx' else row.files[0]}-{command}", marks=marks
    )


@pytest.mark.parametrize("row", [marked(row) for row in ROWS])
def test_a_file_that_was_answered_wrongly_is_answered_right(row, tmp_path, request, thorough):
    if row.files[-1].startswith("site_") and not thorough:
        request.getfixturevalue("onnx_answers_here")
    hold(row, tmp_path, inside=row.inside and not thorough)


@pytest.mark.parametrize("row", [marked(row) for row in RUNS])
def test_a_model_that_runs_on_and_on_ends_and_the_other_is_reported(row, tmp_path):
    hold(row, tmp_path)


def hold(row, folder, *, inside=False):
    for name in row.files:
        lay(name, folder)
    if inside:
        done = cnnlint(*row.command, *row.files, cwd=folder)
        code, out, err, megabytes = done.returncode, done.stdout, done.stderr, 0
    else:
        code, out, err, megabytes = measured([*row.command, *row.files], folder, row.seconds)
    assert code is not None, f"not done after {row.seconds} s"
    said = out + err
    assert code in row.codes, said
    for words in row.says:
        assert words in said
    for words in row.never:
        assert words not in said, said
    starts = [line.lstrip() for line in said.splitlines()]
    assert not [line for line in starts if line.startswith(("::", "##[", "##vso["))]
    if row.megabytes is not None:
        assert megabytes < row.megabytes


def test_every_file_has_a_row():
    rows = {name for row in (*ROWS, *RUNS) for name in row.files}
    judged = {"mobilevit_tokens.onnx", "espcn.onnx", "weight_std.onnx", "bn_between_dense.onnx", "fpad.onnx",
              "fpad_reflect.onnx", "reflectionpad2d.onnx", "rt_cos28.onnx", "deep.toml"}  # fmt: skip
    assert {path.name for path in KEPT.iterdir()} | set(BUILT) <= rows | judged


def test_a_configuration_nested_too_deep_is_named(tmp_path):
    lay("good.onnx", tmp_path)
    lay("deep.toml", tmp_path)
    code, out, err, _ = measured(["lint", "--static", "--config", "deep.toml", "good.onnx"], tmp_path, 20)
    assert code == 2, out + err
    assert err == "cnnlint: error: deep.toml: is not valid TOML: values are nested too deeply\n"


def test_a_configuration_beside_a_model_runs_no_code(tmp_path):
    lay("evil_folder/m.onnx", tmp_path)
    code, out, err, _ = measured(["lint", "--static", "evil_folder/m.onnx"], tmp_path, 20)
    assert not list(tmp_path.rglob("RAN-CODE*"))
    assert code == 2, out + err
    assert "cnnlint.toml" in err
