"""The processes that run several definitions: what is kept in them, and what does not fit into one."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.editing import project
from cnnlint.definitions.processes import Processes
from cnnlint.definitions.target import Definition
from cnnlint.errors import DefinitionError

FILES = {
    "first.py": """
        import os, sys

        sys.taken = True  # what TensorFlow is to PyTorch

        def make():
            raise ValueError(f"pid {os.getpid()}")
    """,
    "second.py": """
        import os, signal, sys

        def make():
            if hasattr(sys, "taken"):
                os.kill(os.getpid(), signal.SIGSEGV)
            raise ValueError(f"pid {os.getpid()}")

        def always():
            os.kill(os.getpid(), signal.SIGSEGV)
    """,
    "keras_net.py": "import os\n\ndef make():\n    raise ValueError(os.getpid())\n    import keras\n",
    "torch_net.py": "import os\n\ndef make():\n    raise ValueError(os.getpid())\n    from torch import nn\n",
}


@pytest.fixture
def said(tmp_path: Path):
    """Return what a definition says, run by processes that are kept."""
    folder = project.write(tmp_path / "project", FILES)
    processes = Processes()

    def run(factory: str) -> str:
        with pytest.raises(DefinitionError) as error:
            processes.run(Definition(name=factory, factory=factory, root=str(folder)), folder=str(tmp_path))
        return error.value.cause

    yield run
    processes.close()


def test_one_process_runs_all_that_fit_into_it(said):
    assert said("first.py:make") == said("first.py:make")


def test_what_crashes_where_others_have_run_gets_a_process_of_its_own_and_keeps_it(said):
    first = said("first.py:make")
    second = said("second.py:make")
    assert second.startswith("make raises ValueError: pid ")
    assert second != first
    assert said("second.py:make") == second
    assert said("first.py:make") != second


def test_what_crashes_alone_is_told(said):
    said("first.py:make")
    assert "ended by SIGSEGV" in said("second.py:always")


def test_definitions_of_two_frameworks_never_meet(said):
    keras, torch = said("keras_net.py:make"), said("torch_net.py:make")
    assert keras != torch
    assert [said("keras_net.py:make"), said("torch_net.py:make")] == [keras, torch]
