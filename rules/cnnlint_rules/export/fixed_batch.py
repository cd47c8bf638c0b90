"""EX008: batches of one size only."""

from __future__ import annotations

from collections.abc import Iterator

from cnnlint import Advice, Bad, Confidence, Context, Diagnostic, Good, ModelRule, NearMiss, Severity, shown_shape


class FixedBatch(ModelRule, code="EX008", severity=Severity.INFO, confidence=Confidence.OPINION, since="0.1.0"):
    """The first axis of an input is fixed, so that the network takes batches of that size only.

    ## Why
    A server that collects requests cannot run them together, and a data set is run one image at a time: on a GPU a
    batch of 1 uses a fraction of the units. It is mostly what the exporter was left to do: PyTorch fixes every axis to
    the extents of the example that it is given.

    ## Instead
    Export with an open first axis.

    ## When not
    Compilers for phones, microcontrollers and accelerators want every extent fixed, and a batch of 1 there is right. So
    the rule runs with `--pedantic`.

    ## References
    - PyTorch documentation, `torch.onnx.export`, `dynamic_axes` and `dynamic_shapes`.
    """

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the batch that the inputs of two axes and more agree on."""
        shapes = [
            (tensor.name, tensor.shape) for tensor in context.graph.inputs if tensor.shape and len(tensor.shape) > 1
        ]
        fixed = {shape[0] for _, shape in shapes if isinstance(shape[0], int)}
        if len(fixed) != 1 or any(not isinstance(shape[0], int) for _, shape in shapes):
            return
        name, shape = shapes[0]
        batch = int(fixed.pop())
        yield self.finding(
            message=f"The input {name} is {shown_shape(shape)}: a batch is fixed at {batch}.",
            evidence={"batch": batch},
            advice=Advice(
                text="Export with an open first axis",
                keras="inputs = keras.Input(shape=(height, width, channels))  # without batch_size",
                pytorch=f'torch.onnx.export(model, example, path, dynamic_axes={{"{name}": {{0: "batch"}}}})',
            ),
        )

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            one (float[1, 3, 8, 8] x) => (float[1, 3, 8, 8] y) { y = Relu (x) }
            """,
            at=(),
        ),
        Good(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            any (float[N, 3, 8, 8] x) => (float[N, 3, 8, 8] y) { y = Relu (x) }
            """
        ),
    )
