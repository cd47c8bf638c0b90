"""A file server on loopback that counts what it sends, and can be told to misbehave."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

RANGE = re.compile(r"bytes=(\d+)-(\d+)")


class FileServer(ThreadingHTTPServer):
    """Serves the files of a folder.

    Attributes:
        requests: (method, path, first byte, bytes sent) of every request, in order.
        authorizations: What requests said in order to be let in.
        ranges: Whether it sends parts of files; one that does not answers with the whole.
        status: What it answers instead, if it is not 200.
        pause: Seconds that it waits before each answer.
        cut: Bytes that it leaves out at the end of each part while it claims to send them.
        extra: Bytes that it sends after each part or file without saying so, in chunks instead of with a length.
        announced: Bytes that it says a file has, if not as many as it has.
        tags: Whether it says by an ETag which state of a file it sends.
        encoding: What it says its answers are compressed with.
        short: Bytes by which each part is shorter than what was asked for, said openly.
    """

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder = folder
        self.requests: list[tuple[str, str, int, int]] = []
        self.authorizations: set[str | None] = set()
        self.ranges = True
        self.status = 200
        self.pause = 0.0
        self.cut = 0
        self.short = 0
        self.extra = 0
        self.announced: int | None = None
        self.tags = True
        self.encoding = ""
        self.woken = threading.Event()
        self._noting = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def sent(self) -> int:
        return sum(count for _, _, _, count in self.requests)

    def note(self, method: str, path: str, first: int) -> int:
        """Note a request before it is answered, and return its place: who has the answer may look at once."""
        with self._noting:
            self.requests.append((method, path, first, 0))
            return len(self.requests) - 1

    def count(self, place: int, sent: int) -> None:
        """Say how many bytes the answer to a request has."""
        method, path, first, _ = self.requests[place]
        self.requests[place] = (method, path, first, sent)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that hang up are what some tests are about."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: FileServer

    def setup(self) -> None:
        # What a client does not read shall not count as sent because the kernel has taken it.
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        super().setup()

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        server = self.server
        server.authorizations.add(self.headers.get("Authorization"))
        if server.pause:
            server.woken.wait(server.pause)
        path = self.path.partition("?")[0]
        file = server.folder / path.lstrip("/")
        status = server.status if server.status != 200 else 200 if file.is_file() else 404
        if status != 200:
            server.note(self.command, path, 0)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        size, changed = file.stat().st_size, file.stat().st_mtime_ns
        asked = RANGE.fullmatch(self.headers.get("Range", "")) if server.ranges else None
        first, last = (int(asked[1]), min(int(asked[2]), size - 1)) if asked else (0, size - 1)
        place = server.note(self.command, path, first)
        if asked:
            last -= server.short
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        else:
            self.send_response(200)
        if server.tags:
            self.send_header("ETag", f'"{changed:x}-{size:x}"')
        if server.encoding:
            self.send_header("Content-Encoding", server.encoding)
        chunked = body and server.extra > 0
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            length = last - first + 1 if asked or server.announced is None else server.announced
            self.send_header("Content-Length", str(length))
        self.end_headers()
        if chunked:
            self.send_without_end(file.read_bytes()[first : last + 1], place)
            return
        count = 0
        if body:
            left = last - first + 1 - server.cut
            with file.open("rb") as content:
                content.seek(first)
                while left > 0 and (chunk := content.read(min(left, 1 << 16))):
                    server.count(place, count + len(chunk))
                    try:
                        self.wfile.write(chunk)
                    except OSError:
                        server.count(place, count)
                        break
                    left -= len(chunk)
                    count += len(chunk)
            if server.cut:
                self.close_connection = True

    def send_without_end(self, content: bytes, place: int) -> None:
        """Send `content` and zeros behind it, in chunks."""
        left, count = len(content) + self.server.extra, 0
        while left > 0:
            chunk = content[count : count + (1 << 16)] or bytes(min(left, 1 << 16))
            try:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            except OSError:
                return
            count += len(chunk)
            left -= len(chunk)
            self.server.count(place, count)
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serving(folder: Path) -> Generator[FileServer]:
    """Serve `folder` as long as the context lasts."""
    server = FileServer(folder)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.woken.set()
        server.shutdown()
        server.server_close()
        thread.join()
