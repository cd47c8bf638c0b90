"""Sound small networks, drawn at random, of which cnnlint says nothing at warning or above.

They keep to what textbooks and papers do: kernels of 3 × 3 on maps whose extent the strides divide, widths that grow as
maps shrink, no bias ahead of a normalization, a receptive field that fits the image, a head and a loss that belong
together. What a new rule says of one of them is either a false alarm or a practice to mend here.
"""

from __future__ import annotations

from random import Random

from drafts import Compile, Draft, Item, Join, Step, draft

KINDS = ("plain", "normalized", "residual", "separable", "branches")

HEADS = {
    "softmax": ("SOFTMAX", Compile("sparse_categorical_crossentropy", metrics=["accuracy"])),
    "one_hot": ("SOFTMAX", Compile("categorical_crossentropy", metrics=["accuracy"])),
    "logits": ("", Compile("sparse_categorical_crossentropy", from_logits=True)),
    "binary": ("SIGMOID", Compile("binary_crossentropy")),
    "labels": ("SIGMOID", Compile("binary_crossentropy")),
    "numbers": ("", Compile("mean_squared_error", metrics=["mae"])),
}
"""How a network ends: its last function, and how it is compiled."""

OPTIMIZERS = (
    ("Adam", {"learning_rate": 0.001}),
    ("Adam", {"learning_rate": 0.0003}),
    ("RMSprop", {"learning_rate": 0.001}),
    ("SGD", {"learning_rate": 0.1, "momentum": 0.9}),
    ("SGD", {"learning_rate": 0.01, "momentum": 0.9, "nesterov": True}),
)

ACTIVATIONS = ("RELU", "RELU", "RELU", "LEAKYRELU 0.1", "ELU", "SWISH")


def network(chance: Random, *kinds: str, heads: tuple[str, ...] = tuple(HEADS)) -> Draft:
    """Draw a network of one of `kinds` that ends in one of `heads`; of any if none is given."""
    kind = chance.choice(kinds or KINDS)
    body = _body(chance, kind)
    # the image that the body sees well: neither much larger nor smaller than what an element of the last map sees
    extents = [extent for extent in range(body.stride, 97, body.stride) if body.fits(extent)]
    if not extents:
        return network(chance, *kinds, heads=heads)
    ending = chance.choice(heads)
    head, compiled = _head(chance, ending, body.filters)
    side = chance.choice(extents)
    made = draft(f"INPUT {chance.choice((1, 3, 3))}x{side}x{side} -> {body.text} -> {head}")
    optimizer, settings = chance.choice(OPTIMIZERS)
    made.compiled = Compile(compiled.loss, compiled.from_logits, optimizer, dict(settings), list(compiled.metrics))
    return made


class _Body:
    """The part of a network that makes maps.

    Attributes:
        text: In the notation.
        filters: Channels of the last map.
        stride: Product of the strides.
        field: Receptive field of an element of the last map, along the longest path.
        before: That of what the last convolution reads, along the shortest path.
    """

    def __init__(self, text: str, filters: int) -> None:
        self.text = text
        self.filters = filters
        self.field, self.stride, self.before = 1, 1, 1
        self._maps, self._skips = [1], False
        self._follow(draft(f"INPUT 8x1024x1024 -> {text}").body)

    def fits(self, extent: int) -> bool:
        """Return whether an image of `extent` is neither too large nor too small for the receptive field."""
        smallest = extent // max(self._maps)
        return self.before < extent <= 1.5 * self.field and smallest >= 4 and extent // self.stride >= 2

    def _follow(self, row: list[Item]) -> None:
        for item in row:
            if isinstance(item, Join):
                self._follow(max(item.branches, key=len))
                self._skips = self._skips or item.kind == "RES"
                continue
            if item.kind not in ("CONV", "DWCONV", "POOL", "AVGPOOL"):
                continue
            (side, _), (stride, _) = item.size(2), item.amounts("stride", 2, (1, 1))
            stride = side if "POOL" in item.kind else stride
            if side > 1 and "POOL" not in item.kind:
                self._maps.append(self.stride)
                self.before = 1 if self._skips else self.field
            self.field += (side - 1) * self.stride
            self.stride *= stride


def _body(chance: Random, kind: str) -> _Body:
    activation = chance.choice(ACTIVATIONS)
    filters = chance.choice((16, 24, 32))
    stages = chance.choice((2, 3, 3, 4))
    parts = list[str]()
    if kind in ("residual", "separable"):
        parts.append(f"CONV {filters} 3x3 nobias -> BN -> {activation}")
    for stage in range(stages):
        depth = chance.choice((1, 2)) if stages < 4 else 1
        match kind:
            case "plain":
                parts += [f"CONV {filters} 3x3 -> {activation}"] * depth + ["POOL 2"]
            case "normalized":
                parts += [f"CONV {filters} 3x3 nobias -> BN -> {activation}"] * depth + [chance.choice(DOWN)]
            case "residual":
                stride = 2 if stage else 1
                parts.append(_residual(filters, stride, activation, changes=stage > 0))
                parts += [_residual(filters, 1, activation, changes=False)] * (depth - 1)
            case "separable":
                stride = " stride 2" if stage else ""
                depthwise = f"DWCONV 3x3{stride} nobias -> BN -> {activation}"
                parts.append(f"{depthwise} -> CONV {filters} 1x1 nobias -> BN -> {activation}")
            case _:
                half = filters // 2
                branch = f"CONV {half} 1x1 nobias -> BN -> {activation}"
                parts.append(f"CONV {filters} 3x3 nobias -> BN -> {activation}")
                parts.append(f"CAT[{branch} | {branch} -> CONV {half} 3x3 nobias -> BN -> {activation}]")
                parts.append(chance.choice(DOWN))
        last = filters
        filters *= 2 if filters < 96 else 1
    return _Body(" -> ".join(parts), last)


DOWN = ("POOL 2", "POOL 2", "AVGPOOL 2")


def _residual(filters: int, stride: int, activation: str, *, changes: bool) -> str:
    first = f"CONV {filters} 3x3 stride {stride} nobias -> BN -> {activation}"
    shortcut = f"CONV {filters} 1x1 stride {stride} nobias -> BN" if changes else "ID"
    return f"RES[{first} -> CONV {filters} 3x3 nobias -> BN | {shortcut}] -> {activation}"


def _head(chance: Random, ending: str, filters: int) -> tuple[str, Compile]:
    function, compiled = HEADS[ending]
    units = {"binary": 1, "numbers": chance.choice((1, 2, 4))}.get(ending, chance.randint(3, 20))
    parts = ["GAP"]
    if chance.random() < 0.3:
        parts += [f"FC {max(64, filters)}", "RELU"]
    if chance.random() < 0.5:
        parts.append(f"DROPOUT {chance.choice((0.2, 0.3, 0.5))}")
    parts.append(f"FC {units}")
    return " -> ".join([*parts, *([function] if function else [])]), compiled


def hidden_kernel(step: Step) -> bool:
    """Return whether a step is a convolution with a kernel of more than 1 × 1."""
    return step.kind == "CONV" and max(step.size(2)) > 1
