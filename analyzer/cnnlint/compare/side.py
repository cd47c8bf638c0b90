"""One of two models that are compared: what it takes, what it gives, and what its layers make on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

    from cnnlint.graph.graph import Graph
    from cnnlint.graph.tensor import Shape

    Array = NDArray[Any]


class Port(Struct, frozen=True):
    """An input or output.

    Attributes:
        name: What the model calls it.
        shape: In the model's own order of axes; None if unknown.
        canonical: Channels first; None if unknown.
        dtype: Element type.
    """

    name: str
    shape: Shape | None
    canonical: Shape | None
    dtype: str


class Values(Struct, frozen=True, eq=False):
    """What a run gives.

    Attributes:
        outputs: In the order of the model's outputs.
        layers: By layer of the graph. There are several where a layer is called several times, and it is not known
            which call is which; none where the value cannot be had.
    """

    outputs: list[Array]
    layers: dict[str, list[Array]]


class Side(Protocol):
    """A model that can be run."""

    @property
    def path(self) -> str:
        """As the user wrote it."""
        ...

    @property
    def graph(self) -> Graph:
        """The network."""
        ...

    @property
    def inputs(self) -> Sequence[Port]:
        """What it is fed."""
        ...

    @property
    def outputs(self) -> Sequence[Port]:
        """What it gives."""
        ...

    def run(self, feeds: Mapping[str, Array], watched: Collection[str]) -> Values:
        """Run the model once, and look at the layers `watched`.

        Args:
            feeds: By input name, in the model's own order of axes.
            watched: Names of layers of the graph.

        Raises:
            RuntimeCheckError: It cannot be run on these.
        """
        ...
