"""EX006: tensors of 64 bits."""

from __future__ import annotations

from collections.abc import Iterator

from cnnlint import (
    Advice,
    Bad,
    Confidence,
    Context,
    Diagnostic,
    Good,
    Layer,
    ModelRule,
    NearMiss,
    Savings,
    Severity,
    onnx_file,
)

SHOWN = 3

WIDE = "float64"


class DoublePrecision(ModelRule, code="EX006", severity=Severity.WARNING, confidence=Confidence.EXACT, since="0.1.0"):
    """Weights, inputs or activations are double-precision numbers.

    ## Why
    float64 takes twice the bytes of float32, GPUs for consumers compute it at 1/32 to 1/64 of the rate, and
    accelerators for inference do not have it. onnxruntime 1.32 has no convolution and no average pooling of float64 on
    CPUs, so such a file does not even load there. No network needs 53 bits of mantissa, when many do with half
    precision's 11. It comes from NumPy, whose numbers are float64 by default, and spreads: an operation of a float64
    with a float32 gives a float64.

    ## Instead
    Train and export in float32: `model.float()` in PyTorch, `keras.config.set_floatx("float32")` in Keras, and
    `.astype("float32")` for arrays that become weights or constants.

    ## When not
    Scientific networks whose loss depends on differences that float32 cannot hold (physics-informed networks). Single
    numbers of 64 bits, and a cast right after an input, cost nothing that matters; the rule counts weights of more than
    one element, inputs, and layers that make float64.

    ## References
    - NVIDIA, "CUDA C++ Programming Guide", "Arithmetic Instructions": throughput by type.
    - PyTorch documentation, "Type promotion".
    """

    def check(self, context: Context) -> Iterator[Diagnostic | NearMiss]:
        """Yield the weights, inputs and layers of float64, and the bytes that float32 saves."""
        graph = context.graph
        weights = [weight for weight in graph.weights if weight.dtype == WIDE and weight.size != 1]
        inputs = [tensor for tensor in graph.inputs if tensor.dtype == WIDE]
        layers = list(_wide(context))
        if not weights and not inputs and not layers:
            return
        saved = sum((weight.nbytes or 0) // 2 for weight in weights)
        parts = [
            f"{count:,} {name}{'s' if count > 1 else ''}"
            for count, name in ((len(weights), "weight"), (len(inputs), "input"), (len(layers), "layer"))
            if count
        ]
        named = [weight.key for weight in weights] or [each.name for each in (*inputs, *layers)]
        listed = ", ".join(named[:SHOWN]) + (", …" if len(named) > SHOWN else "")
        bytes_saved = f"; as float32 the weights take {saved:,} bytes less" if saved else ""
        yield self.finding(
            *layers[:SHOWN],
            message=f"{', '.join(parts[:-1])}{' and ' if len(parts) > 1 else ''}{parts[-1]} are of float64"
            f" ({listed}){bytes_saved}.",
            evidence={"weights": len(weights), "inputs": len(inputs), "layers": len(layers), "bytes": saved},
            advice=Advice(
                text="Train and export in float32",
                keras='keras.config.set_floatx("float32")',
                pytorch="model = model.float()",
            ),
            savings=Savings(bytes=saved),
        )

    examples = (
        Bad(
            """
            <ir_version: 8, opset_import: ["" : 15]>
            net (double[N, 2, 8, 8] x) => (double[N, 2, 8, 8] y) <double[2, 2, 1, 1] kernel = {1, 2, 3, 4}>
            {
                y = Conv (x, kernel)
            }
            """,
            at=("y",),
        ),
        Good("INPUT 3x8x8 -> CONV 3 3x3"),
    )


def _wide(context: Context) -> Iterator[Layer]:
    """Yield the layers that make float64 of more than one element a sample."""
    graph, file = context.graph, onnx_file(context.graph)
    layers = [layer for layer in graph.layers if any(tensor.dtype == WIDE for tensor in layer.outputs)]
    if file is not None:  # the graph takes no notice of casts
        wiring = file.wiring
        if not wiring.has_type(WIDE):
            return
        nodes = (node for node in wiring.nodes if any(wiring.dtype(name) == WIDE for name in node.outputs))
        layers = context.layers_at(node.label for node in nodes if not wiring.is_fixed(node.outputs[0]))
    yield from (layer for layer in layers if (layer.output.sample_elements or 2) > 1)
