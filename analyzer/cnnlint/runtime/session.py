"""onnxruntime sessions that are cheap to create, quiet, and run exactly what the file says."""

from __future__ import annotations

import json
import os
import re
from enum import Enum
from typing import TYPE_CHECKING, Any

from cnnlint.errors import MemoryLimitError, RuntimeCheckError
from cnnlint.worker import steps
from cnnlint.worker.limits import processors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from cnnlint.runtime.program import Program

    Values = Mapping[str, NDArray[Any]]

FATAL = 4
"""onnxruntime's log level above errors, which are raised and need not appear on stderr as well."""


class Refusal(Enum):
    """Why onnxruntime does not load or run a model."""

    BROKEN = "broken"
    """The model is wrong."""
    UNSUPPORTED = "unsupported"
    """The installed onnxruntime lacks an operator, a type or a version."""


class SessionError(RuntimeCheckError):
    """onnxruntime does not load or does not run a model.

    Attributes:
        refusal: The reason, as far as the message tells.
        version: Version of onnxruntime.
    """

    def __init__(self, cause: str, refusal: Refusal, version: str) -> None:
        super().__init__(cause)
        self.refusal = refusal
        self.version = version


class Session:
    """A model loaded into onnxruntime's CPU provider for a few runs.

    Graph optimization is off unless requested, so the session runs exactly what the file says. Weights are not
    prepacked, and external ones are mapped: loading costs next to nothing, for a somewhat slower run.

    Args:
        program: The model.
        outputs: Tensors that a run returns; all outputs of the model if empty.
        optimize: Let onnxruntime optimize the graph, to see the effect of a different order of operations.
        profiled_in: A folder to which onnxruntime writes how long each node takes, and the graph that it made of the
            model; optimizations are on then, and waiting threads spin, as users of onnxruntime have it.

    Raises:
        SessionError: onnxruntime does not load the model.
        MemoryLimitError: It needs more memory than it is allowed.
    """

    def __init__(
        self, program: Program, outputs: Sequence[str] = (), *, optimize: bool = False, profiled_in: str = ""
    ) -> None:
        ort = _onnxruntime()
        self.version: str = ort.__version__
        optimize = optimize or bool(profiled_in)
        options = ort.SessionOptions()
        level = ort.GraphOptimizationLevel
        options.graph_optimization_level = level.ORT_ENABLE_ALL if optimize else level.ORT_DISABLE_ALL
        options.log_severity_level = FATAL
        options.intra_op_num_threads = processors()
        options.add_session_config_entry("session.disable_prepacking", "0" if optimize else "1")
        # Threads that spin while waiting slow down everything else on the machine.
        options.add_session_config_entry("session.intra_op.allow_spinning", "1" if profiled_in else "0")
        if profiled_in:
            self.optimized_program = os.path.join(profiled_in, "optimized.onnx")
            options.enable_profiling = True
            options.profile_file_prefix = os.path.join(profiled_in, "profile")
            options.optimized_model_filepath = self.optimized_program
            options.add_session_config_entry(
                "session.optimized_model_external_initializers_file_name", "optimized.weights"
            )
        if program.folder:
            options.add_session_config_entry(
                "session.model_external_initializers_file_folder_path", os.path.abspath(program.folder)
            )
        wanted = program.with_outputs(outputs) if outputs else program
        steps.begin("loading it into onnxruntime")
        try:
            self._session = ort.InferenceSession(wanted.content, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise _refused(error) from error
        self.inputs: tuple[str, ...] = tuple(value.name for value in self._session.get_inputs())
        self.outputs: tuple[str, ...] = tuple(outputs) or tuple(value.name for value in self._session.get_outputs())

    def run(self, feeds: Values) -> dict[str, NDArray[np.generic]]:
        """Return the values of `outputs` for the inputs `feeds`.

        Raises:
            SessionError: onnxruntime cannot run the model on them.
        """
        options = _onnxruntime().RunOptions()
        steps.begin("running it under onnxruntime")
        options.log_severity_level = FATAL
        try:
            values: list[Any] = self._session.run(list(self.outputs), dict(feeds), options)
        except Exception as error:
            raise _refused(error) from error
        return dict(zip(self.outputs, values, strict=True))

    def end_profiling(self) -> list[dict[str, Any]]:
        """Return what the profiler recorded, in the order of time, durations in microseconds; later runs are not."""
        with open(self._session.end_profiling(), encoding="utf-8") as file:
            return json.load(file)


def _onnxruntime() -> Any:
    """Import onnxruntime, which has no type stubs."""
    import onnxruntime  # pyright: ignore[reportMissingTypeStubs] - it ships none

    return onnxruntime


def _refused(error: Exception) -> SessionError | MemoryLimitError:
    """Turn an exception of onnxruntime into an error of one line; running out of memory is not the model's fault."""
    name, text = type(error).__name__, str(error)
    if isinstance(error, MemoryError) or any(phrase in text for phrase in OUT_OF_MEMORY):
        return MemoryLimitError("onnxruntime needs more memory than it is allowed")
    lacking = name == "NotImplemented" or any(phrase in text for phrase in _LACKING)
    return SessionError(
        one_line(text) or name, Refusal.UNSUPPORTED if lacking else Refusal.BROKEN, _onnxruntime().__version__
    )


OUT_OF_MEMORY = ("bad_alloc", "bad allocation", "Failed to allocate memory", "failed to allocate memory")

_LACKING = (
    "is not a registered function/op",
    "Could not find an implementation",
    "is under development and support for this is limited",
    "Unsupported model IR version",
    "Load model from  failed:Unsupported",
)

_NOISE = (
    (r"^\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : ", ""),
    (r"^Load model from .* failed:", ""),
    (r"Status Message: ", ""),
    (r"/\S+\.(?:cc|h|cpp):\d+ ", ""),  # where in onnxruntime's source
    (r"(?:\b(?:void|bool|int)\b[ *&]*)?onnxruntime::[\w:]+(?:<[^>]*>)?\([^)]*\)(?: const)? ", ""),
    (r"Non-zero status code returned while running (\w+) node\. Name:'([^']*)' ?", r"\1 node '\2': "),
    (r"(\w+ node) ''", r"\1"),
    (r" [^:.]+ was false\. (?=\S)", " "),  # the assertion, where a sentence follows it
    (r"\s+", " "),
)


def one_line(text: str) -> str:
    """Return onnxruntime's message without codes, source locations and line breaks."""
    for pattern, replacement in _NOISE:
        text = re.sub(pattern, replacement, text)
    return text.strip()
