"""Models as callers hand them over: each says what its network is, and what onnxruntime can run of it.

A format is known here and nowhere else: whoever wants a graph or a run asks the model.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

from msgspec.structs import replace

from cnnlint import frontends
from cnnlint.definitions.target import Definition, parse
from cnnlint.errors import CnnlintError, ConfigError, ConversionError, MissingExtraError, ModelError, installing, worded
from cnnlint.worker.workers import Workers

if TYPE_CHECKING:
    from typing import Self, TypeAlias

    import keras  # pyright: ignore[reportMissingTypeStubs] - keras ships none
    import onnx

    from cnnlint.definitions.run import Built, Run, Sources
    from cnnlint.graph.graph import Graph
    from cnnlint.graph.tensor import Shape
    from cnnlint.runtime.runner import Runner

    Given: TypeAlias = "str | os.PathLike[str] | onnx.ModelProto | keras.Model | LiveTorch | Definition"

    Inputs = Mapping[str, Shape] | None


class Folder:
    """A temporary folder that lives as long as this object."""

    def __init__(self) -> None:
        self.path = tempfile.mkdtemp(prefix="cnnlint-")
        self._remove = shutil.rmtree  # at the interpreter's exit there is nothing to import from any more

    def __del__(self) -> None:
        self._remove(self.path, ignore_errors=True)

    def file(self, name: str) -> str:
        """Return the path of a file in this folder."""
        return os.path.join(self.path, name)


class Model:
    """A model; what it takes to read and to run it is made when first asked for.

    Attributes:
        path: As the user wrote it, or what stands for it: "<keras.Model cnn>". A URL is without password and
            signature.
    """

    is_program: ClassVar[bool] = False
    """Whether `program` is there without more ado."""
    runs_unasked: ClassVar[bool] = True
    """Whether it is run unless the user says not to."""
    is_here: ClassVar[bool] = True
    """Whether all of its bytes are on this machine, so that the values of its weights may be read unasked."""
    why_not_run: ClassVar[str] = ""
    """Why it is not run unasked, as a clause."""
    needs_tensorflow: ClassVar[bool] = False
    """Whether its own framework runs it, and not onnxruntime."""
    is_rewritable: ClassVar[bool] = False
    """Whether rewrites have a file to start from."""
    convertible: ClassVar[Literal["keras", "savedmodel"] | None] = None
    """How TensorFlow reads the file; None if it has no business with it."""

    def __init__(self, path: str, workers: Workers) -> None:
        self.path = path
        self.workers = workers

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def graph(self, inputs: Inputs = None) -> Graph:
        """Return its network.

        Args:
            inputs: Shapes by input name that replace what the model declares, in its own order of axes.

        Raises:
            ModelError: It cannot be read as a model.
            MissingExtraError: Reading it takes a package that is not installed.
        """
        raise NotImplementedError

    @property
    def file(self) -> str:
        """The path at which others than cnnlint find it: the file, or the folder of a SavedModel."""
        return self.path

    @property
    def program(self) -> str:
        """The path of an ONNX file that computes what it does.

        Raises:
            ModelError: It cannot be read.
            MissingExtraError: It must be converted, and TensorFlow is not installed.
            ConversionError: It cannot be converted.
            UnfinishedRunError: The conversion met a limit.
        """
        raise NotImplementedError

    @property
    def sources(self) -> Sources:
        """Which lines of the user's code made which layer, where its code was seen to run; see `Built`."""
        return {}

    @property
    def stored(self) -> str:
        """The path under which another process can read it: its own, or of a temporary copy of one in memory.

        Raises:
            ModelError: It cannot be stored.
        """
        return self.path

    def runner(self, inputs: Inputs = None) -> Runner:
        """Return it ready to be run in this process by what its users run it by; onnxruntime, unless it says otherwise.

        Args:
            inputs: As for `graph`.

        Raises:
            ModelError: It cannot be read.
            MissingExtraError: What runs it is not installed.
            ConversionError: It holds code that is not run.
        """
        from cnnlint.runtime.program import Program
        from cnnlint.runtime.runner import OnnxRunner

        return OnnxRunner(self.path, Program.from_file(self.program), self.graph(inputs))


class OnnxFile(Model):
    """An ONNX file."""

    is_program = True
    is_rewritable = True

    def graph(self, inputs: Inputs = None) -> Graph:
        return frontends.load(self.path, inputs=inputs)

    @property
    def program(self) -> str:
        return self.file


class OnnxInMemory(Model):
    """An `onnx.ModelProto`."""

    is_program = True

    def __init__(self, proto: onnx.ModelProto, workers: Workers) -> None:
        super().__init__(f"<onnx.ModelProto {proto.graph.name}>", workers)
        self._proto = proto

    @cached_property
    def _content(self) -> bytes:
        try:
            return self._proto.SerializeToString()
        except Exception as error:
            remedy = "save it with external data and lint the file"
            raise ModelError(f"cannot be serialized: {error}", path=self.path, remedy=remedy) from error

    def graph(self, inputs: Inputs = None) -> Graph:
        return frontends.load_onnx_bytes(self._content, self.path, inputs=inputs)

    @cached_property
    def _folder(self) -> Folder:
        folder = Folder()
        Path(folder.file("model.onnx")).write_bytes(self._content)
        return folder

    @property
    def program(self) -> str:
        return self._folder.file("model.onnx")

    @property
    def stored(self) -> str:
        return self.program


class KerasArchive(Model):
    """A `.keras` or `.h5` file; TensorFlow converts it, in a process of its own, to be run."""

    runs_unasked = False
    why_not_run = "a Keras model is converted to ONNX for them, which --run asks for"
    needs_tensorflow = True
    convertible = "keras"

    def graph(self, inputs: Inputs = None) -> Graph:
        return frontends.load(self.path, inputs=inputs)

    @cached_property
    def _folder(self) -> Folder:
        self._check_limits(self.graph())
        return _converted(self, "keras")

    @property
    def program(self) -> str:
        return self._folder.file("model.onnx")

    def runner(self, inputs: Inputs = None) -> Runner:
        from cnnlint.conversion.loading import load_keras
        from cnnlint.conversion.runners import KerasRunner
        from cnnlint.conversion.toolchain import toolchain

        tools = toolchain()
        graph = self.graph(inputs)
        self._check_limits(graph)
        return KerasRunner(self.path, load_keras(self.file, tools), graph)

    def _check_limits(self, graph: Graph) -> None:
        """Hold what cnnlint does not unpack away from Keras, which unpacks whatever there is.

        Raises:
            ConversionError: The weights are beyond the limit.
        """
        if graph.unread:
            raise ConversionError(f"it is not given to Keras: {graph.unread}", path=self.path)


class LiveKeras(Model):
    """A `keras.Model` of this process, saved to be read; its classes are known here only, so it is converted here."""

    runs_unasked = False
    why_not_run = KerasArchive.why_not_run
    needs_tensorflow = True
    convertible = "keras"

    def __init__(self, model: Any, workers: Workers) -> None:
        super().__init__(f"<keras.Model {model.name}>", workers)
        self.live = model

    @cached_property
    def _saved(self) -> Folder:
        folder = Folder()
        try:
            self.live.save(folder.file("model.keras"))
        except Exception as error:
            remedy = "build it by calling it once"
            raise ModelError(f"Keras cannot save it: {error}", path=self.path, remedy=remedy) from error
        return folder

    def graph(self, inputs: Inputs = None) -> Graph:
        if not self.live.built:
            remedy = "begin it with keras.Input(shape), or call model.build(input_shape)"
            raise ModelError("is not built yet, so that its layers have no shapes", path=self.path, remedy=remedy)
        graph = frontends.load(self._saved.file("model.keras"), inputs=inputs)
        return _renamed(graph, self.path, self._saved)

    @cached_property
    def _converted(self) -> str:
        from cnnlint.conversion import keras_to_onnx
        from cnnlint.conversion.writing import save

        file = self._saved.file("model.onnx")
        save(keras_to_onnx(self.live), file)
        return file

    @property
    def program(self) -> str:
        return self._converted

    @property
    def sources(self) -> Sources:
        from cnnlint.definitions.live import sources

        return sources(self.live, "keras")

    @property
    def stored(self) -> str:
        return self._saved.file("model.keras")

    def runner(self, inputs: Inputs = None) -> Runner:
        from cnnlint.conversion.runners import KerasRunner

        return KerasRunner(self.path, self.live, self.graph(inputs))


class LiveTorch(OnnxFile):
    """A PyTorch module of this process, exported by dynamo for the inputs that it was given.

    Args:
        module: In the mode in which it is; it is exported for inference, and left as it was.
        examples: What it is called with.

    Raises:
        MissingExtraError: The exporter is not installed.
        ModelError: PyTorch cannot export it.
    """

    is_rewritable = False

    def __init__(self, module: Any, examples: tuple[Any, ...]) -> None:
        super().__init__(f"<torch.nn.Module {type(module).__name__}>", Workers())
        self._folder = Folder()
        self._module = module
        try:
            import_module("onnxscript")
        except ImportError as error:
            remedy = installing("onnxscript")
            raise MissingExtraError("PyTorch exports with onnxscript, which is not installed", remedy=remedy) from error
        torch: Any = import_module("torch")
        modes = [(inner, inner.training) for inner in module.modules()]
        try:
            module.eval()
            with torch.no_grad(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of what the exporter does inside
                program = torch.onnx.export(module, examples, dynamo=True, verbose=False)
            program.save(self._folder.file("model.onnx"))
        except Exception as error:
            raise ModelError(f"PyTorch cannot export it: {worded(error)}", path=self.path) from error
        finally:
            for inner, mode in modes:
                inner.training = mode

    @property
    def file(self) -> str:
        return self._folder.file("model.onnx")

    def graph(self, inputs: Inputs = None) -> Graph:
        return _renamed(frontends.load(self.file, inputs=inputs), self.path, self._folder)

    @property
    def sources(self) -> Sources:
        from cnnlint.definitions.live import sources

        return sources(self._module, "torch")

    @property
    def stored(self) -> str:
        return self.file


class SavedModel(Model):
    """The folder of a SavedModel, or the `saved_model.pb` in it: a TensorFlow program, converted to be read at all."""

    needs_tensorflow = True
    convertible = "savedmodel"

    @cached_property
    def _folder(self) -> Folder:
        return _converted(self, "savedmodel")

    def graph(self, inputs: Inputs = None) -> Graph:
        graph = frontends.load(self._folder.file("model.onnx"), inputs=inputs)
        folder = frontends.savedmodel_folder(self.file)
        size = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
        source = replace(graph.source, format="savedmodel", file_bytes=size)
        return _renamed(replace(graph, source=source), self.path, self._folder)

    @property
    def program(self) -> str:
        return self._folder.file("model.onnx")

    def runner(self, inputs: Inputs = None) -> Runner:
        from cnnlint.conversion.runners import SavedModelRunner
        from cnnlint.runtime.program import Program

        return SavedModelRunner(self.file, Program.from_file(self.program), self.graph(inputs))


class Revision(Model):
    """A model as a git revision has it; it is checked out into a temporary folder where others than cnnlint read it."""

    @cached_property
    def _copy(self) -> Folder:
        return Folder()

    @cached_property
    def _checked_out(self) -> str:
        from cnnlint.frontends import git

        return git.check_out(self.path, self._copy.path)

    @property
    def file(self) -> str:
        return self._checked_out

    def graph(self, inputs: Inputs = None) -> Graph:
        with self._named():
            return super().graph(inputs)

    @property
    def program(self) -> str:
        with self._named():
            return super().program

    def runner(self, inputs: Inputs = None) -> Runner:
        with self._named():
            runner = super().runner(inputs)
        vars(runner)["checked_out"] = self._copy  # which lives as long
        return runner

    @contextmanager
    def _named(self) -> Generator[None]:
        """Have errors call the model what the user calls it."""
        try:
            yield
        except CnnlintError as error:
            copy = vars(self).get("_checked_out")
            if copy is not None:
                error.path = self.path if error.path == copy else error.path
                error.cause = error.cause.replace(copy, self.path)
            raise


class OnnxRevision(Revision, OnnxFile):
    """An ONNX file of a git revision."""

    is_rewritable = False


class KerasRevision(Revision, KerasArchive):
    """A Keras archive of a git revision."""


class SavedModelRevision(Revision, SavedModel):
    """The folder of a SavedModel of a git revision."""


class DefinedModel(Model):
    """A network that Python code defines: the code runs, in a process of its own, when the network is first asked for.

    Args:
        definition: The code.
        workers: As for any model.
        run: What runs the code; a new process if None.
        values: Whether the values of weights are wanted; without them less is written.
    """

    runs_unasked = is_here = False
    why_not_run = "the network is not trained, and --run runs it all the same"

    def __init__(
        self, definition: Definition, workers: Workers, run: Run | None = None, *, values: bool = True
    ) -> None:
        super().__init__(definition.name, workers)
        self.definition = definition
        self._values = values
        self._run = run
        self._folder = Folder()
        self._made: tuple[Built, Model] | None = None

    def built(self, inputs: Inputs = None) -> Built:
        """Return what the code makes, with the given shapes of inputs if it has not run before.

        Raises:
            DefinitionError: It makes no model.
        """
        return self._build(inputs)[0]

    def _build(self, inputs: Inputs = None) -> tuple[Built, Model]:
        if self._made is None:
            from cnnlint.definitions.run import run
            from cnnlint.worker.memory import usual_limit

            limits = self.workers.limits
            dims = {name: tuple(dim for dim in shape if isinstance(dim, int)) for name, shape in (inputs or {}).items()}
            memory = limits.memory or usual_limit()
            run = self._run or run
            built = run(
                self.definition,
                folder=self._folder.path,
                timeout=limits.timeout,
                memory=memory,
                inputs=dims,
                values=self._values,
            )
            self._made = built, open_model(built.file, self.workers)
        return self._made

    def graph(self, inputs: Inputs = None) -> Graph:
        with self._named():
            built, model = self._build(inputs)
            shapes = {**self.definition.inputs, **(inputs or {})} if built.kind == "keras" else None
            graph = model.graph(shapes)
            if built.left_out and graph.source.file_bytes is not None:
                size = graph.source.file_bytes + built.left_out
                graph = replace(graph, source=replace(graph.source, file_bytes=size))
            return _renamed(graph, self.path, self._folder)

    @property
    def sources(self) -> Sources:
        return self._build()[0].sources

    @property
    def program(self) -> str:
        with self._named():
            return self._build()[1].program

    @property
    def stored(self) -> str:
        return self._build()[0].file

    def runner(self, inputs: Inputs = None) -> Runner:
        with self._named():
            return self._build(inputs)[1].runner(inputs)

    @contextmanager
    def _named(self) -> Generator[None]:
        """Have errors call the model what the user calls it."""
        try:
            yield
        except CnnlintError as error:
            if error.path is not None and error.path.startswith(self._folder.path):
                error.path = self.path
            raise


class RemoteModel(Model):
    """A model behind a URL, of which the parts that hold the graph are fetched."""

    runs_unasked = is_here = False
    why_not_run = "the model is not on this machine, and --run downloads it"

    def __init__(self, url: str, workers: Workers) -> None:
        super().__init__(frontends.shown(url), workers)
        self.url = url

    def graph(self, inputs: Inputs = None) -> Graph:
        return frontends.load(self.url, inputs=inputs)

    @property
    def stored(self) -> str:
        return self.url

    @property
    def program(self) -> str:
        raise ConfigError("a remote model is not downloaded to be run", path=self.path, remedy="download it first")


class Download:
    """A context in which a remote model lies on this machine, under the name that the user gave it."""

    def __init__(self, remote: RemoteModel) -> None:
        self._remote = remote

    def __enter__(self) -> Model:
        from cnnlint.frontends.remote.remote_file import downloaded

        self._copy = downloaded(self._remote.url)
        self._path = self._copy.__enter__()
        return open_model(self._path, self._remote.workers)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, CnnlintError) and error.path == self._path:
            error.path = self._remote.path
        self._copy.__exit__(kind, error, trace)


def open_model(given: Given, workers: Workers | None = None) -> Model:
    """Return a model, of which nothing is read yet but what tells formats apart.

    Args:
        given: The path of a file or of a SavedModel's folder, a URL, an `onnx.ModelProto`, a built `keras.Model`, or
            the code of a network: `train.py:make_model`, where there is no such file.
        workers: What converts and runs it; workers of its own if None.

    Raises:
        ModelError: It is neither a path nor a model.
    """
    workers = workers or Workers()
    if isinstance(given, LiveTorch):
        given.workers = workers
        return given
    if isinstance(given, Definition):
        return DefinedModel(given, workers)
    if isinstance(given, (str, os.PathLike)):
        path = os.fspath(given)
        if not frontends.is_address(path) and (definition := parse(path)) is not None:
            return DefinedModel(definition, workers)
        return (_revision if frontends.is_revision(path) else _BY_FORMAT[frontends.format_of(path)])(path, workers)
    if _is(given, "onnx", "ModelProto"):
        return OnnxInMemory(cast("onnx.ModelProto", given), workers)
    if _is(given, "keras", "Model"):
        return LiveKeras(given, workers)
    kind = cast("type[object]", type(given))
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    raise ModelError(
        f"this {name} is not a model",
        remedy="give a path, an onnx.ModelProto or a keras.Model",
    )


_BY_FORMAT: Mapping[frontends.Format, type[Model]] = {
    "onnx": OnnxFile,
    "keras": KerasArchive,
    "savedmodel": SavedModel,
    "remote": RemoteModel,
}


def _revision(path: str, workers: Workers) -> Model:
    from cnnlint.frontends import git

    of = {"onnx": OnnxRevision, "keras": KerasRevision, "savedmodel": SavedModelRevision}
    return of[git.kind_of(path)](path, workers)


def path_of(given: Given) -> str:
    """Return the path of a model as reports print it: see `Model.path`.

    Raises:
        ModelError: It is neither a path nor a model.
    """
    if isinstance(given, (str, os.PathLike)):
        path = os.fspath(given)
        return frontends.shown(path)
    return open_model(given).path


def _converted(model: Model, format_: Literal["keras", "savedmodel"]) -> Folder:
    """Return a folder in which model.onnx is what TensorFlow and tf2onnx make of `model`."""
    from cnnlint.conversion.jobs import ConversionJob, ConversionOutcome

    folder = Folder()
    request = ConversionJob(path=model.file, format=format_, output=folder.file("model.onnx"))
    model.workers.call("tensorflow", "cnnlint.conversion.jobs:convert", request, ConversionOutcome)
    return folder


def _renamed(graph: Graph, path: str, folder: Folder) -> Graph:
    """Return `graph` under the name that the user knows; its weights lie in `folder`, which lives as long.

    The file there is not the user's, and how large it is says nothing.
    """
    file_bytes = graph.source.file_bytes if graph.source.format == "savedmodel" else None
    renamed = replace(graph, source=replace(graph.source, path=path, file_bytes=file_bytes))
    vars(renamed)["held_in"] = folder
    return renamed


def _is(model: object, package: str, name: str) -> bool:
    return any(kind.__name__ == name and kind.__module__.partition(".")[0] == package for kind in type(model).__mro__)
