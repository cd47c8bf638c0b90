"""The external data beside a remote model: looked at for its size, and only read where values are asked for."""

from __future__ import annotations

from collections.abc import Iterable

from cnnlint.errors import ModelError
from cnnlint.frontends.onnx.external import leaves
from cnnlint.frontends.remote.address import shown, sibling
from cnnlint.frontends.remote.ranges import Ranges
from cnnlint.frontends.remote.remote_file import RemoteFile


class RemoteFolder:
    """The folder of a model behind a URL; each data file is asked for its size, once.

    Args:
        url: Of the model.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._files = dict[str, Ranges]()

    @property
    def locations(self) -> tuple[str, ...]:
        """The data files that were asked for, as the model calls them."""
        return tuple(self._files)

    def files(self) -> Iterable[Ranges]:
        """Return the files that were asked for, each once."""
        return self._files.values()

    def file(self, location: str, tensor: str) -> Ranges:
        """Return the data file at `location`.

        Raises:
            ModelError: There is none, it lies outside the model's folder, or the server fails.
        """
        known = self._files.get(location)
        if known is not None:
            return known
        if leaves(location) or "::" in location:  # fsspec would follow a second URL behind it
            raise ModelError(
                f"tensor {tensor!r} refers to external data outside the model's folder: {location!r}",
                path=shown(self._url),
                remedy="cnnlint reads only files beside the model",
            )
        try:
            remote = RemoteFile(sibling(self._url, location))
        except ModelError as error:
            raise ModelError(
                f"the external data file {location!r}, which holds tensor {tensor!r}, cannot be had: {error}",
                path=shown(self._url),
            ) from error
        file = self._files[location] = Ranges(remote.fetch, remote.size)
        return file
