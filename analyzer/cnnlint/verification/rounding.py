"""How much rounding can explain: an exact reference and a bound for one layer, input perturbation for a network.

A floating-point sum of K products differs from the exact one by at most γ_K · Σ|w||x|, with γ_K = K · u. If roundings
are independent, γ_K grows as √K (Higham and Mary, "A New Approach to Probabilistic Rounding Error Analysis", SIAM J.
Sci. Comput. 41, 2019); the constant allows for two sums in different orders. Equal products are rounded alike, so r of
each make it √(K · r): where all weights are the same, r comes near K, and the bound to its worst case.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from cnnlint.graph.layers import BatchNorm, Conv, Dense

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from cnnlint.graph.layer import Layer

    Array = NDArray[Any]

UNITS = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}
"""Unit roundoff: half the distance from 1 to the next number of a type."""

SAFETY = 4.0
"""Standard deviations of a sum's rounding error that a bound covers."""

OVERHEAD = 8
"""Roundings besides those of the sum: the bias, and a norm's factor, its root and its shift, folded or not."""

REPEATED = 65_521
"""How many different perturbations there are: a prime."""

ALIKE = 2.0**16
"""Products that differ by less than a part of this are rounded alike, as equal ones are."""

LARGEST_WEIGHT = 1 << 26
"""Most bytes of a weight that is read for an exact reference."""

CAPS = {"float64": 1e-9, "float32": 1e-4, "float16": 1e-2, "bfloat16": 5e-2}
"""Error relative to a tensor's largest magnitude that is never attributed to rounding, however chaotic the network.

A dropped bias, a wrong order of axes or an epsilon of 1e-5 instead of 1e-3 cause 1e-3 or more.
"""

RATIO = 16.0
"""Accepted difference, as a multiple of the effect of rounding the input once: both models round at every layer."""

PERTURBATIONS = 3
"""Runs with perturbed inputs; the largest difference counts."""


def unit(dtype: str) -> float:
    """Return the unit roundoff of `dtype`; that of float32 for types that do not round."""
    return UNITS.get(dtype, UNITS["float32"])


def cap(dtype: str) -> float:
    """Return the relative error that is never attributed to rounding in values of `dtype`."""
    return CAPS.get(dtype, CAPS["float32"])


def perturbed(values: Mapping[str, Array], seed: int) -> dict[str, Array]:
    """Return floating values times 1 + z·u, with z standard normal and u half the distance to the next number.

    Drawing a number for each value of every layer takes longer than to run the network. So they repeat, after as many
    as no extent of a layer divides.
    """
    import numpy as np

    drawn = np.random.default_rng(seed).standard_normal(REPEATED)

    def moved(value: Array) -> Array:
        kind = value.dtype.name
        wide = np.promote_types(value.dtype, np.float32)
        noise = np.resize((drawn * unit(kind)).astype(wide), value.shape)
        noise *= value
        noise += value
        return noise.astype(value.dtype, copy=False)

    return {name: moved(value) if value.dtype.kind == "f" else value for name, value in values.items()}


def growth(products: Array, dtype: str) -> float:
    """Return γ: the error bound of a sum of `products`, relative to the sum of their magnitudes."""
    import numpy as np

    terms = len(products)
    mantissas, exponents = np.frexp(products[products != 0])
    alike = np.round(mantissas * ALIKE) + 4 * ALIKE * exponents
    repeated = len(alike) / max(len(np.unique(alike)), 1)
    return min(SAFETY * sqrt(terms * repeated + OVERHEAD), terms + OVERHEAD) * unit(dtype)


class Reference(Struct, frozen=True, eq=False):
    """Exact elements of a layer's output.

    Attributes:
        exact: In float64, from the layer's input.
        bound: Largest rounding error of each.
    """

    exact: Array
    bound: Array


class WeightedSum(Struct, frozen=True, eq=False):
    """A convolution or a dense layer with the norms after it, as one sum of products for each output element.

    Attributes:
        layer: The layer.
        kernel: Filters, channels of a group, then taps; units and features for a dense layer.
        bias: Bias of each output channel.
        scale: Factor of the norms for each output channel.
        shift: What they add afterward.
        shifting: Sum of the magnitudes in that shift, where a mean may nearly cancel a beta.
    """

    layer: Conv | Dense
    kernel: Array
    bias: Array
    scale: Array
    shift: Array
    shifting: Array

    def fits(self, given: tuple[int, ...], made: tuple[int, ...]) -> bool:
        """Return whether the layer's input and output can have these shapes, channels first."""
        layer, seen = self.layer, self.kernel.shape[1]
        if isinstance(layer, Conv):
            windows = layer.windows or ()
            return (
                len(given) == len(made) == len(windows) + 2
                and (given[0], given[1], made[1]) == (made[0], seen * layer.groups, layer.filters)
                and all(w.output(g) == m for w, g, m in zip(windows, given[2:], made[2:], strict=True))
            )
        axis = layer.axis % len(given) if given else 0
        return (
            len(given) == len(made) and made == (*given[:axis], layer.units, *given[axis + 1 :]) and given[axis] == seen
        )

    def at(self, given: Array, places: Sequence[Array], dtype: str) -> Reference:
        """Return the elements of the output at `places`.

        Args:
            given: The layer's input, channels first.
            places: For each axis of the output, channels first, the indices of the elements.
            dtype: The layer's type.
        """
        import numpy as np

        exact, magnitude, gamma = (np.empty(len(places[0])) for _ in range(3))
        for index, place in enumerate(zip(*places, strict=True)):
            values = self._seen(given, tuple(int(axis) for axis in place))
            weights = self.kernel[place[self._channel_axis(given)]].reshape(-1).astype(np.float64)
            products = weights * values
            exact[index], magnitude[index] = products.sum(), np.abs(products).sum()
            gamma[index] = growth(products, dtype)
        channels = places[self._channel_axis(given)]
        bias, scale, shift = self.bias[channels], self.scale[channels], self.shift[channels]
        largest = np.abs(scale) * (magnitude + np.abs(bias)) + self.shifting[channels]
        return Reference(scale * (exact + bias) + shift, gamma * largest)

    def _channel_axis(self, given: Array) -> int:
        return 1 if isinstance(self.layer, Conv) else self.layer.axis % given.ndim

    def _seen(self, given: Array, place: tuple[int, ...]) -> Array:
        """Return the inputs of one output element in the kernel's order, with zeros for padding."""
        import numpy as np

        if isinstance(self.layer, Dense):
            axis = self._channel_axis(given)
            return np.moveaxis(given, axis, -1)[place[:axis] + place[axis + 1 :]].astype(np.float64)
        windows = self.layer.windows
        assert windows is not None  # noqa: S101 - `weighted_sum` has looked
        of_a_group = self.kernel.shape[1]
        first = place[1] * self.layer.groups // self.layer.filters * of_a_group
        axes: list[Array] = [
            position * window.stride - window.before + window.dilation * np.arange(window.kernel)
            for position, window in zip(place[2:], windows, strict=True)
        ]
        inside: list[Array] = [
            (taps >= 0) & (taps < extent) for taps, extent in zip(axes, given.shape[2:], strict=True)
        ]
        seen = np.zeros((of_a_group, *(len(taps) for taps in axes)))
        block = given[place[0], first : first + of_a_group]
        kept: list[Array] = [taps[within] for taps, within in zip(axes, inside, strict=True)]
        seen[:, *np.ix_(*inside)] = block[:, *np.ix_(*kept)]
        return seen.reshape(-1)


def weighted_sum(layer: Layer, norms: Sequence[Layer], *, keras: bool) -> tuple[WeightedSum, ...]:
    """Return `layer` and the `norms` after it as a sum of products; () if they are not one, or too large to read.

    There are two if the file does not say how a square kernel is arranged.

    Args:
        layer: A layer of the reference.
        norms: The layers after it that only scale channels.
        keras: Whether the file arranges kernels as Keras does.

    Raises:
        CnnlintError: The values of a weight cannot be read.
    """
    import numpy as np

    if not isinstance(layer, Conv | Dense) or not layer.weights:
        return ()
    if isinstance(layer, Conv) and layer.windows is None:
        return ()
    if max((weight.nbytes or 0 for weight in layer.weights), default=0) > LARGEST_WEIGHT:
        return ()
    outputs = layer.out_channels
    scale, shift, shifting = np.ones(outputs), np.zeros(outputs), np.zeros(outputs)
    for norm in norms:
        if norm.is_identity_at_inference:
            continue
        affine = _affine(norm, outputs)
        if affine is None:
            return ()
        factor, beta, mean = affine
        scale, shift = scale * factor, (shift - mean) * factor + beta
        shifting = (shifting + np.abs(mean)) * np.abs(factor) + np.abs(beta)
    held = layer.weight("bias")
    bias = np.zeros(outputs) if held is None else held.values().reshape(-1).astype(np.float64)
    return tuple(
        WeightedSum(layer, kernel, bias, scale, shift, shifting)
        for kernel in arranged(layer, layer.weights[0].values(), keras=keras)
        if kernel.dtype.kind == "f" and kernel.shape[0] == outputs == len(bias)
    )


def arranged(layer: Layer, values: Array, *, keras: bool) -> list[Array]:
    """Return a kernel as ONNX arranges it, filters first; both ways if the file does not say which one it uses."""
    if isinstance(layer, Dense) and values.ndim == 2:
        forms = [values.T, values] if values.shape[1] == layer.units else [values]
        return forms if values.shape[0] == values.shape[1] else forms[:1]
    if isinstance(layer, Conv) and keras and values.ndim > 2:
        axes = tuple(range(values.ndim - 2))
        inputs, outputs = values.ndim - 2, values.ndim - 1
        if layer.is_depthwise:  # channels, then filters of each
            return [values.transpose(inputs, outputs, *axes).reshape(layer.filters, 1, *layer.kernel_size)]
        return [values.transpose(outputs, inputs, *axes)]
    return [values]


def _affine(norm: Layer, channels: int) -> tuple[Array, Array, Array] | None:
    """Return a norm's factor, shift and mean for each channel; None if the file does not have all of them."""
    import numpy as np

    if not isinstance(norm, BatchNorm) or norm.training:
        return None
    held = {weight.role: weight.values().reshape(-1).astype(np.float64) for weight in norm.weights}
    if any(vector.shape != (channels,) for vector in held.values()):
        return None
    gamma, beta = held.get("gamma", np.ones(channels)), held.get("beta", np.zeros(channels))
    if norm.folded:
        return gamma, beta, np.zeros(channels)
    mean, variance = held.get("moving_mean"), held.get("moving_variance")
    if mean is None or variance is None or norm.epsilon is None:
        return None
    return gamma / np.sqrt(variance + norm.epsilon), beta, mean
