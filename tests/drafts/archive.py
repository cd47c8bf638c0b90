"""Drafts as Keras archives, written without Keras: it loads them, and saves them as it would its own."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from drafts import ACTIVATIONS, KERNELS, Compile, Draft, Item, Join, Shape, Step, shape_after
from keras_cases import by_hand

Array = Any
Record = dict[str, Any]

FUNCTIONS = {
    "RELU": "relu", "RELU6": "relu6", "SELU": "selu", "GELU": "gelu", "SIGMOID": "sigmoid",
    "HSIGMOID": "hard_sigmoid", "TANH": "tanh", "SWISH": "silu", "HSWISH": "hard_silu", "MISH": "mish",
    "SOFTPLUS": "softplus", "SOFTSIGN": "softsign", "SOFTMAX": "softmax", "LOGSOFTMAX": "log_softmax", "ELU": "elu",
}  # fmt: skip
"""What Keras calls an activation that takes no argument."""

JOINS = {"RES": "Add", "ADD": "Add", "CAT": "Concatenate", "GATE": "Multiply"}

SNAKE = {
    "BatchNormalization": "batch_normalization", "LayerNormalization": "layer_normalization",
    "GroupNormalization": "group_normalization", "Dense": "dense", "PReLU": "p_re_lu",
}  # fmt: skip

DEFAULT_RATE = 0.001


def archive(draft: Draft, path: Path, *, inline: bool = False) -> Path:
    """Write a draft as a `.keras` archive and return its path.

    Args:
        draft: Without `SE`, and without what Keras cannot do, such as a pooling with `ceil`.
        path: Where to.
        inline: Whether an activation right after a kernel is the kernel's own argument, as most people write it.
    """
    writer = _Writer(draft, inline=inline)
    by_hand.write_zip(path, by_hand.members(writer.model(), writer.hdf5()))
    return path


def names(draft: Draft, *, inline: bool) -> dict[str, str]:
    """Return what cnnlint calls each layer of the archive, by name in the draft."""
    given = {place.item.name: place.item.name for place in draft.places()}
    if inline:
        for place in draft.places(*FUNCTIONS):
            if isinstance(before := place.before, Step) and _takes(before, place.step):
                given[place.step.name] = f"{before.name}/{FUNCTIONS[place.step.kind]}"
    return given


def _takes(kernel: Step, activation: Step) -> bool:
    """Return whether an activation can be an argument of the kernel ahead of it."""
    return kernel.kind in KERNELS and activation.kind in FUNCTIONS and not activation.keras and not activation.numbers


class _Writer:
    def __init__(self, draft: Draft, *, inline: bool) -> None:
        self.draft = draft
        self.inline = inline
        self.layers = [by_hand.image(*_last(draft.shape))]
        self.arrays = dict[str, Array]()
        self.groups = dict[str, str]()
        self._shapes = {"image": draft.shape}
        self._counts = Counter[str]()
        self._random = np.random.default_rng(0)
        self._output = self._row("image", draft.shape, draft.body)[0]

    def model(self) -> Record:
        """Return what stands in config.json."""
        model = {**by_hand.functional(self.layers, [self._output]), "module": "keras.src.models.functional"}
        if self.draft.compiled.loss:
            model["compile_config"] = compile_config(self.draft.compiled)
        return model

    def hdf5(self) -> bytes:
        """Return the weights."""
        import h5py

        buffer = io.BytesIO()
        with h5py.File(buffer, "w") as file:
            for path, array in self.arrays.items():
                file[path] = array
            for group, name in self.groups.items():
                file.require_group(group).attrs["name"] = name
            file.require_group("vars")
        return buffer.getvalue()

    def _row(self, given: str, shape: Shape, row: list[Item]) -> tuple[str, Shape]:
        steps = list(row)
        while steps:
            item = steps.pop(0)
            if isinstance(item, Join):
                given, shape = self._join(given, shape, item)
                continue
            further = dict(item.keras)
            if self.inline and steps and isinstance(next_ := steps[0], Step) and _takes(item, next_):
                further["activation"] = FUNCTIONS[next_.kind]
                steps.pop(0)
            given = self._layer(given, shape, item, further)
            shape = shape_after(item, shape)
        return given, shape

    def _join(self, given: str, shape: Shape, join: Join) -> tuple[str, Shape]:
        ends = [self._row(given, shape, branch) for branch in join.branches]
        if len(ends) == 1:
            ends.append((given, shape))
        shapes = [end[1] for end in ends]
        joined = (sum(each[0] for each in shapes), *shapes[0][1:]) if join.kind == "CAT" else max(shapes, key=prod)
        self._add(JOINS[join.kind], join.name, [name for name, _ in ends], joined)
        return join.name, joined

    def _add(self, class_name: str, name: str, given: list[str], made: Shape, **config: Any) -> None:
        tensors = [by_hand.tensor(each) for each in given]
        for tensor, each in zip(tensors, given, strict=True):
            tensor["config"] |= {"shape": [None, *_last(self._shapes[each])], "dtype": "float32"}
        record = by_hand.layer(class_name, name, **config)
        record["inbound_nodes"] = [{"args": tensors if len(tensors) == 1 else [tensors], "kwargs": {}}]
        self.layers.append(record)
        self._shapes[name] = made

    def _layer(self, given: str, shape: Shape, step: Step, further: Record) -> str:
        rank = len(shape) - 1
        further = dict(further)
        if "pad" in step.options:
            amounts = [[pad, pad] for pad in step.amounts("pad", rank, ())]
            class_name, pads = f"ZeroPadding{rank}D", amounts if rank > 1 else amounts[0]
            padded = (shape[0], *(extent + 2 * before for extent, (before, _) in zip(shape[1:], amounts, strict=True)))
            self._add(class_name, f"{step.name}_pad", [given], padded, padding=pads, data_format="channels_last")
            given = f"{step.name}_pad"
        class_name, config = _class_of(step, shape)
        class_name = further.pop("class", class_name)
        self._add(class_name, step.name, [given], shape_after(step, shape), **{**config, **further})
        if weights := _weights(step, shape, config | further):
            kind = SNAKE.get(class_name, class_name.lower())
            for long, short in (("Transpose", "_transpose"), ("Depthwise", "depthwise_"), ("Conv", "conv")):
                if long in class_name and class_name not in SNAKE:
                    kind = kind.replace(long.lower(), short)
            number = self._counts[kind]
            self._counts[kind] += 1
            group = f"layers/{kind}_{number}/vars" if number else f"layers/{kind}/vars"
            self.groups[group] = step.name
            for index, (role, sizes, to_keras) in enumerate(weights):
                values = self._values(role, sizes, config | further)
                if (change := self.draft.weights.get((step.name, role))) is not None:
                    values = change(values)
                self.arrays[f"{group}/{index}"] = to_keras(values).astype(np.float32)
        return step.name

    def _values(self, role: str, sizes: Shape, config: Record) -> Array:
        initializer = config.get(f"{role}_initializer") or config.get("depthwise_initializer") or ""
        name = initializer["class_name"].lower() if isinstance(initializer, dict) else str(initializer).lower()
        if name in ("zeros", "ones", "constant"):
            value = {"zeros": 0.0, "ones": 1.0}.get(name)
            return np.full(sizes, initializer["config"]["value"] if value is None else value)
        match role:
            case "kernel":
                return self._random.standard_normal(sizes) * (2 / max(prod(sizes[1:]), 1)) ** 0.5
            case "gamma" | "variance":
                return self._random.uniform(0.5, 1.5, sizes)
            case _:
                return self._random.uniform(-0.1, 0.1, sizes)


def compile_config(compiled: Compile) -> Record:
    """Return the arguments of `compile` as Keras serializes them."""
    loss: Any = compiled.loss
    if compiled.from_logits is not None:
        name = "".join(part.capitalize() for part in compiled.loss.split("_"))
        loss = {"module": "keras.losses", "class_name": name, "config": {"from_logits": compiled.from_logits}}
    settings = {"learning_rate": DEFAULT_RATE, **compiled.settings}
    return {
        "optimizer": {"module": "keras.optimizers", "class_name": compiled.optimizer, "config": settings},
        "loss": loss,
        "metrics": compiled.metrics or None,
    }


def _last(shape: Shape) -> Shape:
    return (*shape[1:], shape[0])


def _class_of(step: Step, shape: Shape) -> tuple[str, Record]:
    """Return the class and arguments of a step's layer."""
    rank = len(shape) - 1
    window = {
        "strides": step.amounts("stride", rank, step.size(rank) if "POOL" in step.kind else (1,) * rank),
        "padding": "same" if step.is_same else "valid",
        "data_format": "channels_last",
    } if step.kind in ("CONV", "DWCONV", "DECONV", "POOL", "AVGPOOL") else {}  # fmt: skip
    learned = {"activation": "linear", "use_bias": "nobias" not in step.options}
    match step.kind:
        case "CONV" | "DWCONV":
            dilation = {"dilation_rate": step.amounts("dilation", rank, (1,) * rank)}
            sliding = {"kernel_size": step.size(rank), **window, **dilation, **learned}
            if step.kind == "DWCONV":
                return f"DepthwiseConv{rank}D", {"depth_multiplier": int(step.options.get("multiplier", 1)), **sliding}
            return f"Conv{rank}D", {
                "filters": step.filters, "groups": int(step.options.get("groups", 1)), **sliding
            }  # fmt: skip
        case "DECONV":
            return f"Conv{rank}DTranspose", {
                "filters": step.filters, "kernel_size": step.size(rank), **window, **learned
            }  # fmt: skip
        case "POOL" | "AVGPOOL":
            assert not {"ceil", "dilation"} & set(step.options), f"Keras has no {step}"
            kind = "Max" if step.kind == "POOL" else "Average"
            return f"{kind}Pooling{rank}D", {"pool_size": step.size(rank), **window}
        case "GAP" | "GMP":
            kind = "Average" if step.kind == "GAP" else "Max"
            config = {"data_format": "channels_last", "keepdims": "keep" in step.options}
            return f"Global{kind}Pooling{rank}D", config
        case "FC":
            return "Dense", {"units": step.filters, **learned}
        case "FLATTEN":
            return "Flatten", {"data_format": "channels_last"}
        case "BN":
            return "BatchNormalization", {"axis": -1, "momentum": 0.99, "epsilon": 1e-3}
        case "LN":
            return "LayerNormalization", {"axis": list(range(1, rank + 2)), "epsilon": 1e-3}
        case "GN":
            return "GroupNormalization", {"groups": int(step.numbers[0]), "axis": -1, "epsilon": 1e-3}
        case "DROPOUT":
            return "Dropout", {"rate": float(step.numbers[0] if step.numbers else 0.5)}
        case "PAD":
            pads = [[int(step.numbers[0]), int(step.numbers[-1])]] * rank
            return f"ZeroPadding{rank}D", {"padding": pads if rank > 1 else pads[0], "data_format": "channels_last"}
        case "UPSAMPLE":
            size = step.size(rank) if rank > 1 else step.size(rank)[0]
            return f"UpSampling{rank}D", {"size": size, **({"data_format": "channels_last"} if rank > 1 else {})}
        case "RESCALE":
            return "Rescaling", {"scale": float(step.numbers[0]) if step.numbers else 1 / 255, "offset": 0.0}
        case "RESHAPE":
            return "Reshape", {"target_shape": _last(shape_after(step, shape))}
        case "LEAKYRELU":
            return "LeakyReLU", {"negative_slope": float(step.numbers[0]) if step.numbers else 0.01}
        case "PRELU":
            return "PReLU", {"shared_axes": list(range(1, rank + 1)) or None}
        case kind if kind in ACTIVATIONS:
            return "Activation", {"activation": FUNCTIONS[kind]}
        case kind:
            raise ValueError(f"{kind} is not written as a Keras layer here")


Weights = list[tuple[str, Shape, Callable[[Array], Array]]]


def _weights(step: Step, shape: Shape, config: Record) -> Weights:
    """Return the role, the sizes in ONNX's order and the way to Keras's order of each weight of a step."""
    channels, rank = shape[0], len(shape) - 1
    bias: Weights = [("bias", shape_after(step, shape)[:1], np.asarray)] if config.get("use_bias") else []
    spatial = tuple(range(2, 2 + rank))
    match step.kind:
        case "CONV":
            sizes = (step.filters, channels // int(step.options.get("groups", 1)), *step.size(rank))
            return [("kernel", sizes, lambda values: values.transpose(*spatial, 1, 0)), *bias]
        case "DWCONV":
            multiplier = int(step.options.get("multiplier", 1))
            sizes = (channels * multiplier, 1, *step.size(rank))

            def to_depthwise(values: Array) -> Array:
                return values.reshape(channels, multiplier, *step.size(rank)).transpose(*spatial, 0, 1)

            return [("kernel", sizes, to_depthwise), *bias]
        case "DECONV":
            sizes = (channels, step.filters, *step.size(rank))
            return [("kernel", sizes, lambda values: values.transpose(*spatial, 1, 0)), *bias]
        case "FC":
            return [("kernel", (step.filters, channels), np.transpose), *bias]
        case "BN":
            axis = config["axis"]
            size = _last(shape)[axis if axis < 0 else axis - 1]
            given: Weights = [(role, (size,), np.asarray) for role in ("gamma", "beta", "mean", "variance")]
            left_out = {"gamma": config.get("scale") is False, "beta": config.get("center") is False}
            return [each for each in given if not left_out.get(each[0])]
        case "LN":
            return [(role, shape, lambda values: np.moveaxis(values, 0, -1)) for role in ("gamma", "beta")]
        case "GN":
            return [(role, (channels,), np.asarray) for role in ("gamma", "beta")]
        case "PRELU":
            return [("slope", shape[:1], lambda values: values.reshape(*(1,) * rank, channels))]
        case _:
            return []
