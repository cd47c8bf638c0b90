"""A SavedModel: its outputs as TensorFlow computes them, its layers as its conversion to ONNX does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnnlint.conversion.loading import first_line
from cnnlint.conversion.saved_model import load_signature
from cnnlint.conversion.toolchain import quiet, toolchain
from cnnlint.errors import RuntimeCheckError
from cnnlint.frontends import savedmodel_folder
from cnnlint.runtime.runner import OnnxRunner, Values
from cnnlint.worker import steps

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray

    from cnnlint.graph.graph import Graph
    from cnnlint.runtime.program import Program


class SavedModelRunner(OnnxRunner):
    """A SavedModel and its conversion, whose inputs and outputs are called as the signature calls them."""

    sees_inside = False

    def __init__(self, path: str, program: Program, graph: Graph) -> None:
        super().__init__(path, program, graph)
        tensorflow: Any = toolchain().tensorflow
        with quiet(), tensorflow.device("/cpu:0"):
            self._signature = load_signature(savedmodel_folder(path))

    def run(
        self,
        feeds: Mapping[str, NDArray[Any]],
        watched: Collection[str],
        given: Mapping[str, NDArray[Any]] | None = None,
    ) -> Values:
        """Call the signature, and run the conversion for the layers; for all where it is `given` values."""
        import numpy as np

        if given:
            return super().run(feeds, watched, given)
        tensorflow: Any = toolchain().tensorflow
        steps.begin("running it under TensorFlow", at_least=steps.CONVERSION)
        try:
            with quiet(), tensorflow.device("/cpu:0"):
                outputs = self._signature.call(feeds)
        except Exception as error:
            raise RuntimeCheckError(f"TensorFlow cannot run it: {first_line(error)}", path=self.path) from error
        layers = super().run(feeds, watched).layers if watched else {}
        return Values([np.asarray(outputs[port.name]) for port in self.outputs], layers)

    def optimized(self, feeds: Mapping[str, NDArray[Any]], watched: Collection[str]) -> Values | None:
        """Return nothing: what onnxruntime would run is the conversion, which may be wrong."""
        del feeds, watched
