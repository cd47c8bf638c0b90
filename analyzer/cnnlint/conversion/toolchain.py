"""Import TensorFlow, Keras and tf2onnx on demand, and keep their logs off the user's terminal."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Generator
from contextlib import contextmanager, suppress
from importlib import import_module
from types import ModuleType
from typing import NamedTuple

from cnnlint.errors import ConversionError, MissingExtraError, installing

LOGGERS = ("absl", "h5py", "keras", "tensorflow", "tf2onnx")


class Toolchain(NamedTuple):
    """The modules that a conversion needs."""

    tensorflow: ModuleType
    keras: ModuleType
    tf2onnx: ModuleType


def toolchain() -> Toolchain:
    """Import TensorFlow, Keras and tf2onnx without output on stderr.

    Raises:
        MissingExtraError: One of them is not installed.
        ConversionError: Keras runs on another backend than TensorFlow.
    """
    # Read when TensorFlow's library is loaded: 3 keeps only fatal messages.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Overrides keras.json, but not a choice that the process has already made.
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    with quiet(), _stderr_closed():
        try:
            tools = Toolchain(import_module("tensorflow"), import_module("keras"), import_module("tf2onnx.convert"))
        except ImportError as error:
            raise MissingExtraError(
                f"converting needs TensorFlow and tf2onnx, and {error.name or error} is missing",
                remedy=installing("cnnlint[keras]"),
            ) from error
    backend = tools.keras.backend.backend()
    if backend != "tensorflow":
        raise ConversionError(
            f"Keras runs on the {backend} backend, but the conversion needs TensorFlow",
            remedy="set KERAS_BACKEND=tensorflow",
        )
    return tools


@contextmanager
def quiet() -> Generator[None]:
    """Suppress warnings and log records of TensorFlow, Keras and tf2onnx while the block runs."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@contextmanager
def _stderr_closed() -> Generator[None]:
    """Redirect file descriptor 2 to /dev/null: TensorFlow's library logs while loading, before it reads any setting."""
    if "tensorflow" in sys.modules:
        yield
        return
    saved = None
    with suppress(OSError, ValueError):
        sys.stderr.flush()
        saved = os.dup(2)
    if saved is None:
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
