"""Run a definition in a process of its own, by the user's interpreter: what it makes, and which line made which layer.

The process imports the standard library and what the user's code imports, and nothing of cnnlint. Whoever builds one
definition after the other keeps a `Child`, in which the frameworks stay imported and the user's modules do not.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, cast

from msgspec import Struct

from cnnlint.definitions.target import Definition
from cnnlint.errors import ConfigError, DefinitionError
from cnnlint.results import Frame

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from io import BufferedReader
    from typing import BinaryIO, Literal, Self

    from cnnlint.definitions.recording import Line

PATIENCE = 300.0
"""Seconds that a definition may take if nobody says otherwise: TensorFlow takes ten of them to be imported."""

KEPT = 1 << 16
"""Bytes of what the user's code prints that are kept, the last ones."""

HOOKS = "py_env-"
"""How pre-commit calls environments that it makes."""

LONGEST = 200
"""Characters of the last line of a process that ended, in the error."""

QUIET = {"TF_CPP_MIN_LOG_LEVEL": "2", "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
"""A network that is only looked at takes no memory of a device away from one that is being trained."""

if TYPE_CHECKING:
    Run = Callable[..., "Built"]

Sources = dict[str, tuple[Frame, ...]]
"""The user's frames behind each layer, innermost first, by layer; of the definition itself by ""."""


class Built(Struct, frozen=True, kw_only=True):
    """What a definition made.

    Attributes:
        file: The model: an archive of Keras, or an ONNX file.
        kind: The framework.
        sources: The user's frames behind each layer, innermost first; layers of nested models are "outer/inner",
            those of PyTorch the paths of modules, and the definition itself is "".
        modules: The files of the working tree that were imported.
        said: The end of what the code printed.
        left_out: Bytes of values that the file lacks, since nobody wants them.
    """

    file: str
    kind: Literal["keras", "torch"]
    sources: Sources
    modules: tuple[str, ...]
    said: str
    left_out: int = 0


def run(
    definition: Definition,
    *,
    folder: str,
    timeout: float | None = None,
    memory: int | None = None,
    inputs: Mapping[str, tuple[int, ...]] | None = None,
    values: bool = True,
) -> Built:
    """Run the code of a definition, and return what it made.

    Args:
        definition: What to run.
        folder: Where the model is written to.
        timeout: Seconds that it may take; 0 for no limit, None for the usual one.
        memory: Bytes that it may take; None for no limit.
        inputs: Shapes of inputs that outweigh those of the definition.
        values: Whether the values of weights are wanted, which a new network has by chance; else they may be left out.

    Raises:
        DefinitionError: It gives no model.
        ConfigError: There is no such interpreter.
    """
    with Child(definition, memory=memory) as child:
        return child.build(definition, folder=folder, timeout=timeout, inputs=inputs, values=values)


def interpreter(python: str | None, folder: str) -> str:
    """Return the path of the interpreter that runs the user's code.

    It is the one that was chosen, else that of the environment that is active, unless that is one of a hook's own, else
    that of a `.venv` in `folder` or above, up to the root of its repository, else the one that runs cnnlint.

    Raises:
        ConfigError: The chosen one does not exist.
    """
    if python is not None:
        if os.path.isdir(python):
            python = next(filter(os.path.isfile, _in_environment(python)), python)
        if not os.path.isfile(python):
            raise ConfigError("there is no such interpreter", path=python, remedy="--python takes the path of one")
        return os.path.abspath(python)
    active = [place for name in ("VIRTUAL_ENV", "CONDA_PREFIX") if (place := os.environ.get(name))]
    if "PRE_COMMIT" in os.environ:  # it activates what it has made for the hook, in which the user's packages are not
        active = [place for place in active if not os.path.basename(place).startswith(HOOKS)]
    own = [str(above / ".venv") for above in up_to_root(Path(os.path.abspath(folder)))]
    found = (place for environment in (*active, *own) for place in _in_environment(environment))
    return next(filter(os.path.isfile, found), sys.executable)


def _in_environment(folder: str) -> tuple[str, str]:
    return os.path.join(folder, "bin", "python"), os.path.join(folder, "Scripts", "python.exe")


def up_to_root(folder: Path) -> list[Path]:
    """Return `folder` and those above it that are in the same repository; `folder` alone outside of one."""
    above = [folder, *folder.parents]
    root = next((place for place in above if (place / ".git").exists()), folder)
    return above[: above.index(root) + 1]


def tree_of(definition: Definition) -> str:
    """Return the working tree that a definition belongs to.

    It is the repository that its file lies in, else the working directory if the file lies below that, else its folder.
    """
    here = Path(os.path.realpath(definition.root or Path.cwd()))
    folder = here if definition.file is None else Path(os.path.realpath(definition.file)).parent
    root = up_to_root(folder)[-1]
    if root == folder and folder.is_relative_to(here):
        return str(up_to_root(here)[-1])
    return str(root)


class Child:
    """A process that builds definitions; the user's own modules are imported anew for each.

    Args:
        definition: One of them, whose interpreter runs all.
        memory: Bytes that it may take; None for no limit.

    Attributes:
        has_crashed: Whether it has ended by itself.

    Raises:
        ConfigError: There is no such interpreter, or it does not start.
    """

    def __init__(self, definition: Definition, *, memory: int | None = None) -> None:
        self.has_crashed = False
        self.python = interpreter(definition.python, definition.root or os.getcwd())
        self._memory = memory
        self._loaded: tuple[str, ...] = ()
        self._said = b""
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "child.py")
        try:
            self._process = subprocess.Popen(  # noqa: S603 - what the user chose to run
                [self.python, program],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**QUIET, **os.environ},
                start_new_session=True,
            )
        except OSError as error:
            raise ConfigError(f"does not start: {error.strerror}", path=self.python) from error
        self._answers = SimpleQueue[bytes]()
        self._threads = [
            threading.Thread(target=target, args=(stream,), daemon=True)
            for target, stream in ((self._receive, self._process.stdout), (self._listen, self._process.stderr))
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @property
    def is_alive(self) -> bool:
        """Whether it can build."""
        return self._process.poll() is None

    @property
    def said(self) -> str:
        """The end of what the user's code printed since the last build began."""
        return self._said.decode(errors="replace")

    def build(
        self,
        definition: Definition,
        *,
        folder: str,
        timeout: float | None = None,
        inputs: Mapping[str, tuple[int, ...]] | None = None,
        values: bool = True,
    ) -> Built:
        """Run the code of a definition, and return what it made; see `run`.

        Raises:
            DefinitionError: It gives no model; once a limit was met, or the process ended, the child cannot be used.
        """
        if definition.file is not None and not os.path.isfile(definition.file):
            raise DefinitionError(f"there is no file {definition.place}", path=definition.name)
        request = {
            "place": definition.place,
            "module": definition.place,
            "file": definition.file and os.path.realpath(definition.file),
            "name": definition.attribute,
            "arguments": definition.arguments,
            "inputs": {**definition.inputs, **(inputs or {})},
            "here": os.path.realpath(definition.root or os.getcwd()),
            "root": tree_of(definition),
            "folder": folder,
            "values": values,
            "memory": self._memory,
            "forget": self._loaded,
        }
        self._said = b""
        with suppress(OSError):
            assert self._process.stdin is not None  # noqa: S101 - it was asked for
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        seconds = PATIENCE if timeout is None else timeout
        try:
            line = self._answers.get(timeout=min(seconds, threading.TIMEOUT_MAX) or None)
        except Empty:
            self.end()
            remedy = "--run-timeout SECONDS allows more"
            raise self._error(definition, f"took longer than {seconds:g} s", remedy=remedy) from None
        if not line:
            raise self._ended(definition)
        answer: dict[str, Any] = json.loads(line)
        self._loaded = tuple(answer["names"])
        if "file" not in answer:
            cause, remedy, trace = answer["cause"], answer.get("remedy"), answer.get("trace", "")
            raise self._error(definition, cause, remedy=remedy or None, trace=trace)
        chains = [tuple(as_frame(line) for line in chain) for chain in answer["chains"]]
        return Built(
            file=answer["file"],
            kind=answer["kind"],
            sources={layer: chains[number] for layer, number in answer["sources"].items()},
            modules=tuple(answer["modules"]),
            said=self.said,
            left_out=answer["left_out"],
        )

    def end(self) -> None:
        """End the process, and what the user's code has started in it."""
        with suppress(OSError):
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        with suppress(OSError, subprocess.TimeoutExpired):
            self._process.wait(10)
        for thread in self._threads:
            thread.join(1)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            with suppress(OSError, ValueError):
                if stream is not None:
                    stream.close()

    def _ended(self, definition: Definition) -> DefinitionError:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        code = self._process.returncode
        self.has_crashed = True
        self.end()
        if code is not None and code < 0:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
            return self._error(definition, f"the process that ran it was ended by {name}")
        last = self.said.strip().rpartition("\n")[2].strip()[:LONGEST]
        return self._error(
            definition, f"the process that ran it ended with exit code {code}" + (f": {last}" if last else "")
        )

    def _error(
        self, definition: Definition, cause: str, *, remedy: str | None = None, trace: str = ""
    ) -> DefinitionError:
        return DefinitionError(cause, path=definition.name, remedy=remedy, trace=trace, said=self.said)

    def _receive(self, stream: BinaryIO) -> None:
        with suppress(OSError, ValueError):
            for line in stream:
                self._answers.put(line)
        self._answers.put(b"")

    def _listen(self, stream: BinaryIO) -> None:
        with suppress(OSError, ValueError):
            while piece := cast("BufferedReader", stream).read1(KEPT):
                self._said = (self._said + piece)[-KEPT:]


def as_frame(line: Line) -> Frame:
    """Return a recorded line as reports have it."""
    file, number, function, text, begin, end = line
    return Frame(file=shown_file(file), line=number, function=function, text=text, begin=begin, end=end)


def shown_file(file: str) -> str:
    """Return the path of a file of the user's as reports print it: from the working directory, if it lies below it."""
    here = os.path.realpath(os.getcwd())
    below = os.path.relpath(file, here) if file.startswith(here.rstrip(os.sep) + os.sep) else file
    return below.replace(os.sep, "/")
