"""HTTP answers that end: no more is taken than what was asked for, and nothing is unpacked."""

# aiohttp need not be installed.
# pyright: reportMissingImports=false

from __future__ import annotations

import re
from functools import cache
from typing import Any

from cnnlint.errors import ModelError
from cnnlint.frontends.remote.failure import DOWNLOAD, NO_RANGES

RANGE = re.compile(r"bytes=(\d+)-(\d+)")

OK = 200
"""The status of an answer that is the whole file."""


@cache
def bounded_response() -> type[Any]:
    """Return the class of responses that aiohttp makes for us.

    The libraries above read an answer to its end, which a server need not come to, and aiohttp unpacks a compressed
    one, of which a range is no range of the file.
    """
    from aiohttp import ClientResponse

    class BoundedResponse(ClientResponse):
        async def start(self, connection: Any) -> Any:
            await super().start(connection)
            packed = self.headers.get("Content-Encoding", "identity")
            if self.method != "HEAD" and self.ok and packed.lower() not in ("identity", ""):
                raise ModelError(
                    f"the server compresses its answer ({packed}), which it was asked not to do", remedy=DOWNLOAD
                )
            return self

        async def read(self) -> bytes:
            asked = RANGE.fullmatch(self.request_info.headers.get("Range", ""))
            if asked is None:
                return await super().read()
            most = int(asked[2]) - int(asked[1]) + 1
            data = bytearray()
            while piece := await self.content.readany():
                data += piece
                if len(data) > most:
                    self.close()
                    if self.status == OK:
                        raise ModelError(NO_RANGES, remedy=DOWNLOAD)
                    raise ModelError(f"the server sends more than the {most:,} bytes that were asked for")
            return bytes(data)

    return BoundedResponse
