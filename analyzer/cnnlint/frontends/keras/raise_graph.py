"""Build the graph of a Keras archive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from msgspec.structs import replace

from cnnlint.errors import ContradictionError, ModelError
from cnnlint.frontends.keras import settings
from cnnlint.frontends.keras.definition import collect
from cnnlint.frontends.keras.file import KerasFile
from cnnlint.frontends.keras.flat_model import MERGE, FlatModel, LayerCall, Ref, flatten_model
from cnnlint.frontends.keras.layers import functions, pointwise, raise_call
from cnnlint.frontends.keras.layers.call import KerasCall, add_opaque
from cnnlint.frontends.keras.records import ArchiveRecord, LayerRecord
from cnnlint.frontends.keras.training import read_training
from cnnlint.frontends.keras.weight_groups import NOT_COUNTED
from cnnlint.frontends.raising.builder import GraphBuilder
from cnnlint.frontends.raising.canonical import canonicalize
from cnnlint.frontends.raising.view import LayoutVerdict, Permutation, TensorView, find_layout, to_channels_first
from cnnlint.graph.graph import Graph, Source, UnusedWeight
from cnnlint.graph.layers import Conv, ConvTranspose, Dense
from cnnlint.graph.tensor import Dim, Shape
from cnnlint.graph.training import Initializer

AGNOSTIC = frozenset(
    [
        *pointwise.ACTIVATIONS, *pointwise.MERGING, *pointwise.NORMS, *pointwise.TRAINING_ONLY,
        *functions.UNARY, *functions.BINARY, *functions.ACTIVATIONS, "Rescaling", "Normalization", "Concatenate",
    ]
)  # fmt: skip
"""Layers that work in any layout."""

NO_MAPS = frozenset({"Flatten"})
"""Layers whose `data_format` does not tell the layout of their input."""

SEQUENCES_OF_MAPS = frozenset({MERGE, "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"})
"""Layers whose first axis after the batch is time, in either layout."""

SLIDING = (
    "Conv", "DepthwiseConv", "SeparableConv", "ZeroPadding", "Cropping", "UpSampling", "MaxPool", "AveragePool",
)  # fmt: skip
"""Prefixes of layers of maps that did not always save their `data_format`."""


class Layouts:
    """The layouts of a model's tensors.

    Args:
        model: Its calls.
    """

    def __init__(self, model: FlatModel) -> None:
        self._calls = model.steps
        self._readers = dict[int, list[int]]()
        for index, call in enumerate(model.steps):
            for ref in call.inputs:
                self._readers.setdefault(ref.step, []).append(index)
        formats = {call.layer.config.get("data_format") for call in model.steps}
        self._default_last = formats != {"channels_first"} and "channels_first" not in formats - {None}

    def of(self, ref: Ref, rank: int) -> Permutation | None:
        """Return the permutation that makes a tensor of `rank` axes channels-first; None if there is none to make."""
        if rank < 3:
            return None
        found = find_layout(ref.step, (None,) * rank, self._said)
        if found is not None:
            return found.permutation
        return to_channels_first(rank) if rank > 3 and self._default_last else None

    def _said(self, step: int, shape: Shape) -> Iterator[LayoutVerdict | tuple[int, Shape]]:
        """Yield what the readers of a call's output tell about its layout."""
        for reader in self._readers.get(step, ()):
            layer = self._calls[reader].layer
            if layer.class_name in SEQUENCES_OF_MAPS:
                yield LayoutVerdict(None)
            elif (last := _channels_last(layer)) is not None:
                yield LayoutVerdict(to_channels_first(len(shape)) if last else None)
            elif layer.class_name in AGNOSTIC:
                yield reader, shape


def _channels_last(layer: LayerRecord) -> bool | None:
    """Return whether a layer takes channels-last maps; None if it takes no maps, or any layout."""
    if layer.class_name in NO_MAPS or layer.is_custom:
        return None
    stated = layer.config.get("data_format")
    if stated in ("channels_first", "channels_last"):
        return stated == "channels_last"
    return True if layer.class_name.startswith(SLIDING) or "Pooling" in layer.class_name else None


UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError)
"""Exceptions when reading a configuration that Keras did not write."""

SPATIAL_SYMBOLS = {1: ("length",), 2: ("height", "width"), 3: ("depth", "height", "width")}
"""Names of open extents, by number of spatial axes."""


def raise_archive(archive: ArchiveRecord, inputs: Mapping[str, Shape] | None = None) -> Graph:
    """Return the graph of an archive.

    Args:
        archive: The file without its weights.
        inputs: Shapes by input name, in Keras's layout, that replace the file's.

    Raises:
        ModelError: The configuration contradicts itself, or a layer lacks what it must have.
    """
    try:
        return _raised(archive, inputs or {})
    except UNREADABLE as error:
        raise ModelError(f"its configuration cannot be read: {_clause(error)}", path=archive.path) from error


def _raised(archive: ArchiveRecord, inputs: Mapping[str, Shape]) -> Graph:
    network = flatten_model(archive)
    raiser = _Raiser(archive.path, network, inputs)
    raiser.run()
    builder = raiser.builder
    canonicalize(builder)
    _check_weights(builder, archive.path)
    graph = builder.freeze(
        _source(archive, network),
        training=read_training(archive.training, raiser.initializers),
        unused=_unused(archive, builder),
        unread=archive.unread,
    )
    return replace(graph, file=KerasFile(archive, network))


def _check_weights(builder: GraphBuilder, path: str) -> None:
    """Refuse a file with fewer weights than its configuration needs: counts would be wrong."""
    for layer in builder:
        held = layer.parameters
        if held is None or not isinstance(layer, Conv | ConvTranspose | Dense):
            continue
        formula = layer.parameter_formula()
        packed = any(not weight.dtype.startswith(("float", "bfloat")) for weight in layer.weights)
        if not layer.weights:
            cause = "has no weights in the file"
        elif formula is not None and not packed and formula.value > held:
            cause = f"has {held:,} weights in the file, but {formula.value:,} by its configuration"
        else:
            continue
        raise ModelError(
            f"layer {layer.name!r} ({layer.kind}) {cause}", path=path, remedy="build the model and save it again"
        )


def _unused(archive: ArchiveRecord, builder: GraphBuilder) -> tuple[UnusedWeight, ...]:
    """Return the arrays in groups that no layer uses; random number states are not weights."""
    used = {_group(weight.key) for layer in builder for weight in layer.weights}
    return tuple(
        UnusedWeight(weight.key, weight.storage.nbytes if weight.storage else None)
        for weight in archive.weights
        if _group(weight.key) not in used and NOT_COUNTED not in weight.key.split("/")
    )


def _group(key: str) -> str:
    return key.replace("\\", "/").rpartition("/")[0]


class _Raiser:
    def __init__(self, path: str, network: FlatModel, inputs: Mapping[str, Shape]) -> None:
        self.path = path
        self.builder = GraphBuilder()
        self._network = network
        self._layouts = Layouts(network)
        self._given = inputs
        self.initializers = dict[str, Initializer]()
        self._views = dict[Ref, TensorView]()
        self._declared = dict[int, dict[int, tuple[tuple[int | None, ...] | None, str]]]()
        self._used = dict[int, int]()
        for ref in network.outputs:
            self._used[ref.step] = max(ref.index, self._used.get(ref.step, -1))
        self._input_names = [step.layer.name for step in network.steps if step.layer.class_name == "InputLayer"]

    def run(self) -> None:
        """Add the layers of all steps."""
        for name in self._given:
            if name not in self._input_names:
                raise ModelError(
                    f"there is no input {name!r} to set",
                    path=self.path,
                    remedy=f"its inputs are {', '.join(self._input_names)}",
                )
        for ref, declared in self._network.declared.items():
            self._declared.setdefault(ref.step, {})[ref.index] = declared
        for index, step in enumerate(self._network.steps):
            if step.layer.class_name == "InputLayer":
                self._add_input(index, step.layer)
            else:
                self._add_step(index, step)
        for ref in self._network.outputs:
            self.builder.outputs.append(self._view(ref).tensor)

    def _view(self, ref: Ref) -> TensorView:
        if ref not in self._views:
            layer = self._network.steps[ref.step].layer
            raise ModelError(f"layer {layer.path!r} has no output {ref.index}", path=self.path)
        return self._views[ref]

    def _add_input(self, index: int, layer: LayerRecord) -> None:
        declared = settings.shape_of(layer.config.get("batch_shape") or layer.config.get("batch_input_shape"))
        if declared is None:
            built = settings.shape_of(layer.config.get("shape"))
            declared = None if built is None else (None, *built)
        permutation = None if declared is None else self._layouts.of(Ref(index), len(declared))
        shape = None if declared is None else self._named(layer.name, declared, maps=permutation is not None)
        if layer.name in self._given:
            shape = self._checked(layer.name, declared, tuple(self._given[layer.name]))
            permutation = self._layouts.of(Ref(index), len(shape))
        dtype = settings.compute_dtype(layer.config.get("dtype"))
        self._views[Ref(index)] = self.builder.add_input(layer.path, shape, dtype, permutation=permutation)

    def _named(self, name: str, shape: tuple[int | None, ...], *, maps: bool) -> Shape:
        """Return `shape` with symbols for open extents."""
        rank = len(shape) - 2
        extents = SPATIAL_SYMBOLS.get(rank, tuple(f"axis{axis}" for axis in range(1, rank + 1)))
        if not maps and rank > 1:
            extents = tuple(f"axis{axis}" for axis in range(1, rank + 1))
        symbols = ["batch", *extents, "channels"] if rank >= 0 else ["batch"]
        alone = len(self._input_names) == 1
        return tuple(
            dim if dim is not None else symbol if symbol == "batch" or alone else f"{name}_{symbol}"
            for dim, symbol in zip(shape, symbols, strict=False)
        )

    def _checked(self, name: str, declared: tuple[int | None, ...] | None, given: Shape) -> Shape:
        if declared is not None:
            fits = len(declared) == len(given) and all(
                ours is None or theirs in (ours, None) for ours, theirs in zip(declared, given, strict=True)
            )
            if not fits:
                wanted = " × ".join("?" if dim is None else str(dim) for dim in declared)
                raise ModelError(f"input {name!r} is {wanted}; {given} does not fit it", path=self.path)
        return given

    def _add_step(self, index: int, step: LayerCall) -> None:
        def resolve(value: Any) -> Any:
            if isinstance(value, Ref):
                return self._view(value)
            if isinstance(value, dict):
                return {key: resolve(item) for key, item in cast("dict[str, Any]", value).items()}
            return [resolve(item) for item in cast("list[Any]", value)] if isinstance(value, list | tuple) else value

        args = [resolve(argument) for argument in step.args]
        kwargs = {name: resolve(argument) for name, argument in step.kwargs.items()}
        batch: Dim = next((view.shape[0] for view in collect([args, kwargs], TensorView) if view.shape), "batch")
        call = KerasCall(
            step.layer,
            args,
            kwargs,
            self.builder,
            declared=self._declared_outputs(index, batch),
            layout=lambda rank: self._layouts.of(Ref(index), rank),
            initializers=self.initializers,
        )
        try:
            views = raise_call(call)
        except ContradictionError as error:
            views = add_opaque(call, error.cause)
        except UNREADABLE as error:
            raise ModelError(
                f"layer {step.layer.path!r} ({step.layer.class_name}) cannot be read: {_clause(error)}",
                path=self.path,
            ) from error
        for output, view in enumerate(views):
            self._views[Ref(index, output)] = view

    def _declared_outputs(self, index: int, batch: Dim) -> tuple[tuple[Shape | None, str], ...]:
        """Return the shapes and types in the file of a step's outputs, up to the last one that is used."""
        noted = self._declared.get(index, {})
        used = self._used.get(index, -1)
        found = list[tuple[Shape | None, str]]()
        for output in range(max([*noted, used]) + 1):
            shape, dtype = noted.get(output, (None, ""))
            named: Shape | None = shape
            if shape and shape[0] is None:
                named = (batch, *shape[1:])
            found.append((named, dtype))
        return tuple(found)


def _clause(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"its configuration has no {error}"
    return str(error).partition("\n")[0] or type(error).__name__


def _source(archive: ArchiveRecord, network: FlatModel) -> Source:
    formats = {step.layer.config.get("data_format") for step in network.steps}
    return Source(
        path=archive.path,
        format=archive.format,
        producer=f"keras {archive.keras_version}".rstrip(),
        file_bytes=archive.file_bytes,
        layout="channels_first" if "channels_first" in formats else "channels_last",
    )
