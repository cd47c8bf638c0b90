"""A question in a process of its own: answered, or not within the limits, and nothing beside a model is imported."""

from __future__ import annotations

import sys

import pytest

from cnnlint.worker.question import ask

ECHO = "sys.stdout.buffer.write(sys.stdin.buffer.read()[::-1])"


def test_a_program_is_given_bytes_and_answers_with_bytes():
    assert ask(ECHO, b"abc" * 100_000, seconds=60, nbytes=1 << 28) == b"cba" * 100_000


@pytest.mark.parametrize("program", ["raise ValueError", "import os; os.kill(os.getpid(), 11)", "sys.exit(2)"])
def test_a_program_that_fails_or_crashes_has_no_answer(program):
    assert ask(program, b"", seconds=60, nbytes=1 << 28) is None


def test_a_program_that_takes_too_long_has_no_answer():
    assert ask("while True: pass", b"", seconds=1, nbytes=1 << 28) is None


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux holds a process to its memory")
def test_a_program_that_takes_too_much_memory_has_no_answer():
    assert ask("bytearray(1 << 29)", b"", seconds=60, nbytes=1 << 28) is None


def test_what_lies_in_the_working_directory_is_not_imported(tmp_path, monkeypatch):
    (tmp_path / "onnx.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")
    assert ask("import onnx; print(onnx.__name__, end='')", b"", seconds=60, nbytes=1 << 28) == b"onnx"
