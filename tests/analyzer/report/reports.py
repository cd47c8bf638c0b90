"""Reports to render, made by hand so that every part of them is known."""

from cnnlint.results import (
    BudgetResult,
    Confidence,
    Finding,
    LintReport,
    ModelReport,
    Place,
    Savings,
    Severity,
    Site,
    Verification,
)


def site(position, label, shape, parameters=0, before=(), after=(), op=""):
    return Site(
        position=position,
        kind=label.split()[0],
        op=op or label.split()[0],
        label=label,
        output_shape=shape,
        parameters=parameters,
        before=before,
        after=after,
    )


SITES = {
    "pool5": site(3, "MaxPool 2×2", (512, 7, 7), before=("conv5_3",), after=("flatten",)),
    "flatten": site(4, "Flatten", (25088,), before=("pool5",), after=("fc1",), op="Reshape"),
    "fc1": site(5, "Dense", (4096,), 102_764_544, before=("flatten",), after=("fc1/relu",), op="Gemm"),
    "fc1/relu": site(6, "relu", (4096,), before=("fc1",), after=("fc2",), op="Relu"),
}


def finding(code="FC001", layers=("fc1",), **fields):
    given = {
        "name": "flatten-dense-dominates",
        "severity": Severity.WARNING,
        "confidence": Confidence.HEURISTIC,
        "message": "fc1 holds 102,764,544 of 138,357,544 parameters (74 %).",
        "evidence": {"share": 0.742746},
        **fields,
    }
    at = given.pop("places", (layers,))
    said = [Place(layers=each, message=given["message"], evidence=given["evidence"], identity=str(each)) for each in at]
    return Finding(code=code, layers=layers, places=tuple(said), **given)


FLATTENED = finding(
    suggestion="Average each channel over the map:\nx = keras.layers.GlobalAveragePooling2D()(x)",
    savings=Savings(parameters=100_663_296, macs=100_663_296, bytes=402_653_184),
    verification=Verification(
        equivalent=True, max_abs_error=1e-9, max_rel_error=3e-7, tolerance=1e-5, runs=3, tensors=("logits", "fc1")
    ),
    fingerprint="00d1",
)


def model(path="vgg16.onnx", **fields):
    given = {
        "format": "onnx",
        "parameters": 138_357_544,
        "macs": 15_470_264_320,
        "weight_bytes": 553_430_176,
        "peak_activation_bytes": 25_690_112,
        "sites": SITES,
        **fields,
    }
    return ModelReport(path=path, **given)


def report(*models):
    return LintReport(cnnlint="0.1.0", models=models)


BUDGETS = (
    BudgetResult(
        quantity="params",
        measured=138_357_544,
        limit=5_000_000,
        margin=-133_357_544,
        passed=False,
        message="The phone has room for 20 MB.",
    ),
    BudgetResult(quantity="layer_share", measured=0.7427, limit=0.8, margin=0.0573, passed=True),
    BudgetResult(quantity="macs", measured=None, limit=10**9, margin=None, passed=False, reason="custom_1 is opaque"),
)
