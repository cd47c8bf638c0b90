"""Rewrites a model with one tool, in a process of its own and in that tool's environment.

python rewriters.py TOOL MODEL OUTPUT

It prints the seconds that went into verifying, which only cnnlint does.
"""

from __future__ import annotations

import shutil
import sys
import time
from typing import Any

_verifying = [0.0]


def onnxsim(model: str, output: str) -> None:
    """As `onnxsim MODEL OUTPUT`."""
    import onnx
    import onnxsim

    simplified, _ = onnxsim.simplify(onnx.load(model))
    onnx.save(simplified, output)


def onnxslim(model: str, output: str) -> None:
    """As `onnxslim MODEL OUTPUT`."""
    import onnxslim

    onnxslim.slim(model, output)


def onnxoptimizer(model: str, output: str) -> None:
    """All its passes that merge or remove, until nothing changes."""
    import onnx
    import onnxoptimizer

    onnx.save(onnxoptimizer.optimize(onnx.load(model), fixed_point=True), output)


def onnxscript(model: str, output: str) -> None:
    """Its optimizer, and the rules that its rewriter has by default."""
    import onnx
    import onnxscript.optimizer
    import onnxscript.rewriter

    onnx.save(onnxscript.rewriter.rewrite(onnxscript.optimizer.optimize(onnx.load(model))), output)


def cnnlint(model: str, output: str) -> None:
    """As `cnnlint fix MODEL -o OUTPUT`; the model itself where nothing is rewritten."""
    from cnnlint.operations import fix

    fix.compare = _timed(fix.compare)
    report = fix.fix(fix.FixRequest(path=model, fresh=output, isolated=True))
    if not report.applied or not report.is_verified:
        shutil.copyfile(model, output)


def _timed(verify: Any) -> Any:
    def call(*given: Any, **options: Any) -> Any:
        begin = time.perf_counter()
        try:
            return verify(*given, **options)
        finally:
            _verifying[0] += time.perf_counter() - begin

    return call


TOOLS = {tool.__name__: tool for tool in (onnxsim, onnxslim, onnxoptimizer, onnxscript, cnnlint)}

if __name__ == "__main__":
    TOOLS[sys.argv[1]](*sys.argv[2:])
    with open(f"{sys.argv[3]}.seconds", "w") as file:
        file.write(str(_verifying[0]))
