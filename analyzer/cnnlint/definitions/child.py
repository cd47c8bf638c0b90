"""The program that runs a definition: the user's interpreter executes it, which need not have cnnlint.

Requests come as lines of JSON on standard input, answers go to standard output in the same form. What the user's code
prints goes to standard error. It stands by itself, but for the recorder beside it, from Python 3.9 on.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import os
import sys
import traceback
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import ModuleType

HERE = os.path.dirname(os.path.abspath(__file__))
LARGE = 1 << 10
"""Bytes of an array from which its values are left out, where nobody wants them."""

IMPORTING = os.path.dirname(os.path.abspath(importlib.__file__))


def _recording() -> Any:
    """Load the recorder, without its folder on the import path, where it would hide modules of the user's."""
    spec = importlib.util.spec_from_file_location("_cnnlint_recording", os.path.join(HERE, "recording.py"))
    assert spec is not None  # noqa: S101 - it ends in .py
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


recording = _recording()


class UnusableError(Exception):
    """What was named gives no network, as a clause and, if there is one, a remedy."""

    def __init__(self, cause: str, remedy: str = "") -> None:
        super().__init__(cause)
        self.remedy = remedy


def main() -> None:
    """Answer one request after the other until standard input ends."""
    requests = os.fdopen(os.dup(0), "r", encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # what the user's code reads is empty, and what it prints is apart from the answers
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != HERE]
    for line in requests:
        request = json.loads(line)
        answer = _answer(request)
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # the user's code has closed it
                stream.flush()
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    root = request["root"]
    recorder = recording.Recorder(root, refuse_training=True)
    _forget(request.get("forget", ()))
    before = {*sys.modules}
    if request.get("memory"):
        _limit_memory(request["memory"])
    answer: dict[str, Any]
    try:
        with recorder:
            answer = _built(request, recorder)
    except UnusableError as error:
        answer = {"cause": str(error), "remedy": error.remedy}
    except recording.TrainsFirst as error:
        file, line, _, text, _, _ = error.args[0]
        where = f"{os.path.relpath(file, root)}:{line}: {text.strip()}"
        remedy = 'train where the file is run: if __name__ == "__main__":'
        answer = {"cause": f"trains the network before it gives it back ({where})", "remedy": remedy}
    except BaseException as error:  # whatever it is, it is the answer
        answer = {"cause": _worded(error), "trace": _trace(error)}
    modules = {name: file for name, file in _files() if recorder.is_users(file)}
    answer["modules"] = sorted({*modules.values()})
    answer["names"] = sorted(name for name in modules if name not in before)
    return answer


def _forget(names: list[str]) -> None:
    """Drop modules of the user's, so that they are imported anew, and count the names of layers from the start."""
    for name in names:
        sys.modules.pop(name, None)
    keras = sys.modules.get("keras")
    if names and keras is not None:
        keras.backend.clear_session()
    if names:
        importlib.invalidate_caches()
        recording.linecache.checkcache()


def _limit_memory(most: int) -> None:
    with suppress(ImportError, OSError, ValueError):  # where the system has no such limit
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def _files() -> list[tuple[str, str]]:
    found = [(name, getattr(module, "__file__", None)) for name, module in list(sys.modules.items())]
    return [(name, os.path.realpath(file)) for name, file in found if isinstance(file, str) and os.path.isfile(file)]


def _built(request: dict[str, Any], recorder: Any) -> dict[str, Any]:
    name = request["name"]
    module = _imported(request)
    found = getattr(module, name, None)
    if found is None:
        near = _nearest(name, module)
        raise UnusableError(f"{request['place']} defines no {name}", f"did you mean {near}?" if near else "")
    model = found if _kind(found) else _made(found, name, request["arguments"])
    kind = _kind(model)
    if not kind:
        raise UnusableError(f"{name} gives {_article(model)}, and no Keras model or PyTorch module")
    try:
        file, sources = (_keras if kind == "keras" else _torch)(model, request, recorder)
    except UnusableError:
        raise
    except Exception as error:
        said = "Keras cannot save the model" if kind == "keras" else "PyTorch cannot export the module"
        remedy = "a subclass of keras.Model must be called or built first" if kind == "keras" else ""
        return {"cause": f"{said}: {_worded(error)}", "remedy": remedy, "trace": _trace(error)}
    if (defined := _definition_of(found, recorder)) is not None:
        sources[""] = (defined,)
    chains: dict[Any, int] = {}
    by_layer = {layer: chains.setdefault(tuple(lines), len(chains)) for layer, lines in sources.items()}
    left_out = request.get("left_out", 0)
    return {"file": file, "kind": kind, "left_out": left_out, "chains": list(chains), "sources": by_layer}


def _imported(request: dict[str, Any]) -> ModuleType:
    place = request["place"]
    folder = os.path.dirname(request["file"]) if request["file"] else request["here"]
    sys.path[:] = [folder, *(entry for entry in sys.path if entry != folder)]
    try:
        if not request["file"]:
            return importlib.import_module(request["module"])
        # by its name, as others of the user's modules import it; run as a program it would train
        name = os.path.splitext(os.path.basename(request["file"]))[0]
        spec = importlib.util.spec_from_file_location(name, request["file"])
        assert spec is not None  # noqa: S101 - it ends in .py
        assert spec.loader is not None  # noqa: S101
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        return module
    except SystemExit as error:
        raise _ToldError(f"{place} calls sys.exit({_code(error)}) when it is imported", error) from error
    except Exception as error:
        raise _ToldError(f"{place} cannot be imported: {_worded(error)}", error) from error


class _ToldError(Exception):
    """An exception of the user's code, and what to say of it."""


def _made(factory: Any, name: str, arguments: dict[str, Any]) -> Any:
    if not callable(factory):
        return factory
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):
        signature = None
    if signature is not None:
        _check_arguments(signature, name, arguments)
    try:
        return factory(**arguments)
    except SystemExit as error:
        raise _ToldError(f"{name} calls sys.exit({_code(error)})", error) from error
    except Exception as error:
        raise _ToldError(f"{name} raises {_worded(error)}", error) from error


def _check_arguments(signature: inspect.Signature, name: str, arguments: dict[str, Any]) -> None:
    named = [each for each in signature.parameters.values() if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
    takes_all = any(each.kind == each.VAR_KEYWORD for each in signature.parameters.values())
    lacking = [each.name for each in named if each.default is each.empty and each.name not in arguments]
    if lacking:
        raise UnusableError(
            f"{name} needs arguments that nobody gives: {', '.join(lacking)}",
            "give them as `arguments` of a [[definitions]] table, or name a function that needs none",
        )
    unknown = [] if takes_all else [each for each in arguments if each not in {parameter.name for parameter in named}]
    if unknown:
        known = ", ".join(each.name for each in named) or "none"
        raise UnusableError(f"{name} takes no argument {', '.join(unknown)}", f"it takes {known}")


def _kind(found: object) -> str:
    if isinstance(found, type):
        return ""
    names = {(base.__module__.partition(".")[0], base.__name__) for base in type(found).__mro__}
    if ("keras", "Model") in names or ("tf_keras", "Model") in names:
        return "keras"
    return "torch" if ("torch", "Module") in names else ""


def _keras(model: Any, request: dict[str, Any], recorder: Any) -> tuple[str, dict[str, Any]]:
    shapes = [tuple(shape) for shape in request["inputs"].values()]
    if not getattr(model, "built", True) and shapes:
        model.build(shapes[0] if len(shapes) == 1 else shapes)
    file = os.path.join(request["folder"], "model.keras")
    left_out: list[int] = []
    with nullcontext() if request["values"] else _without_values(left_out):
        model.save(file)
    request["left_out"] = sum(left_out)
    return file, recorder.keras_lines(model)


@contextmanager
def _without_values(left_out: list[int]) -> Generator[None]:
    """Have HDF5 files hold shapes and types of arrays and not their values; the bytes of each go to `left_out`."""
    group = importlib.import_module("h5py").Group
    create = group.create_dataset

    def create_dataset(self: Any, name: Any, shape: Any = None, dtype: Any = None, data: Any = None, **how: Any) -> Any:
        if getattr(data, "nbytes", 0) < LARGE or shape is not None or dtype is not None:
            return create(self, name, shape=shape, dtype=dtype, data=data, **how)
        left_out.append(data.nbytes)
        return create(self, name, shape=data.shape, dtype=data.dtype, **how)

    group.create_dataset = create_dataset
    try:
        yield
    finally:
        group.create_dataset = create


def _torch(module: Any, request: dict[str, Any], recorder: Any) -> tuple[str, dict[str, Any]]:
    torch = sys.modules["torch"]
    parameters = inspect.signature(module.forward).parameters
    shapes = request["inputs"]
    if not shapes:
        wanted = [name for name, each in parameters.items() if each.default is each.empty]
        options = " ".join(f"--input {name}=1x3x224x224" for name in wanted)
        remedy = f"say so by {options}, or by `input` of its [[definitions]] table"
        raise UnusableError("a PyTorch module does not say what it takes", remedy)
    if unknown := [name for name in shapes if name not in parameters]:
        raise UnusableError(f"its forward has no input {', '.join(unknown)}", f"it has {', '.join(parameters)}")
    try:
        importlib.import_module("onnxscript")
    except ImportError as error:
        raise UnusableError(
            "PyTorch exports with onnxscript, which is not installed", "python -m pip install onnxscript"
        ) from error
    sources = recorder.torch_lines(module)
    examples = {name: torch.zeros(*shape) for name, shape in shapes.items()}
    module.eval()
    with torch.no_grad():
        program = torch.onnx.export(module, (), kwargs=examples, dynamo=True, verbose=False)
    file = os.path.join(request["folder"], "model.onnx")
    program.save(file)
    return file, sources


def _definition_of(found: Any, recorder: Any) -> Any:
    """Return the line that defines a factory or a class."""
    try:
        file, (lines, first) = inspect.getsourcefile(found), inspect.getsourcelines(found)
    except (TypeError, OSError):
        return None
    if file is None or not recorder.is_users(file):
        return None
    skipped = next((at for at, line in enumerate(lines) if line.lstrip().startswith(("def ", "class ", "async "))), 0)
    text = lines[skipped].rstrip("\r\n").expandtabs(recording.TAB)
    begin = len(text) - len(text.lstrip())
    return os.path.realpath(file), max(first, 1) + skipped, found.__qualname__, text, begin, len(text)


def _nearest(name: str, module: ModuleType) -> str:
    from difflib import get_close_matches

    known = [each for each in vars(module) if not each.startswith("_")]
    return next(iter(get_close_matches(name, known, n=1)), "")


def _article(value: object) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__}"
    kind = type(value)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return "None" if value is None else f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def _code(error: SystemExit) -> str:
    return "" if error.code is None else repr(error.code)


def _worded(error: BaseException) -> str:
    if isinstance(error, _ToldError):
        return str(error.args[0])
    said = " ".join(str(error).split())
    said = said if len(said) <= 300 else f"{said[:299]}…"
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _trace(error: BaseException) -> str:
    """Return the traceback of the user's code, without frames of ours and of the import system."""
    shown = traceback.TracebackException.from_exception(error.args[1] if isinstance(error, _ToldError) else error)
    _strip(shown, set())
    return "".join(shown.format())


def _strip(shown: Any, seen: set[int]) -> None:
    if shown is None or id(shown) in seen:
        return
    seen.add(id(shown))
    shown.stack = traceback.StackSummary.from_list([frame for frame in shown.stack if not _is_ours(frame.filename)])
    for inner in (shown.__cause__, shown.__context__):
        _strip(inner, seen)


def _is_ours(file: str) -> bool:
    return os.path.dirname(os.path.abspath(file)) in (HERE, IMPORTING) or file.startswith("<frozen importlib")


if __name__ == "__main__":
    main()
