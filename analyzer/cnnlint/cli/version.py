"""Versions: of cnnlint, and of all that it works with."""

from __future__ import annotations

from collections.abc import Iterator

from cnnlint.errors import __version__

COMPANIONS = ("onnx", "onnxruntime", "numpy", "h5py", "keras", "tensorflow", "tf2onnx")


def versions(*, verbose: bool) -> Iterator[str]:
    """Yield "cnnlint 0.1.0" and, if `verbose`, a line for Python and each installed companion."""
    yield f"cnnlint {__version__}"
    if not verbose:
        return
    import platform
    from importlib.metadata import PackageNotFoundError, version

    yield f"  python       {platform.python_version()} ({platform.system()} {platform.machine()})"
    for package in COMPANIONS:
        try:
            yield f"  {package:<12} {version(package)}"
        except PackageNotFoundError:
            yield f"  {package:<12} not installed"
