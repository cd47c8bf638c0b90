"""A server that speaks as much of the Hugging Face hub's protocol as reading a file takes."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlencode

from remote_models.file_server import FileServer

REPOSITORY = "owner/net"

TOKEN = "hf_of_a_test"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def blob(content: bytes) -> str:
    """Return what git calls a file of this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


class HubServer(ThreadingHTTPServer):
    """Knows one repository, whose files another server holds, as the hub does with large ones.

    Attributes:
        authorizations: What requests said in order to be let in.
        page: Entries of a page of a listing of files; the hub itself sends a thousand.
    """

    daemon_threads = True

    def __init__(self, files: FileServer) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = files
        self.authorizations: set[str | None] = set()
        self.page = 1000

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def entry(self, path: Path) -> dict[str, object]:
        """Return what the hub says of a file or folder."""
        name = path.relative_to(self.files.folder).as_posix()
        if path.is_dir():
            return {"type": "directory", "path": name, "oid": "0" * 40}
        held = path.read_bytes()
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256(held)}\nsize {len(held)}\n".encode()
        kept = {"oid": sha256(held), "size": len(held), "pointerSize": len(pointer)}
        return {"type": "file", "path": name, "size": len(held), "oid": blob(pointer), "lfs": kept}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HubServer

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def do_POST(self) -> None:
        self.answer()

    def answer(self) -> None:
        server, folder = self.server, self.server.files.folder
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        server.authorizations.add(self.headers.get("Authorization"))
        path, _, said = self.path.partition("?")
        repository = f"/api/models/{REPOSITORY}"
        if path.startswith(f"/{REPOSITORY}/resolve/main/"):
            location = f"{server.files.url}/{path.removeprefix(f'/{REPOSITORY}/resolve/main/')}"
            self.send_response(302)
            self.send_header("Location", location)
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif path.startswith(f"{repository}/paths-info/"):
            asked = [folder / name for name in parse_qs(body)["paths"]]
            self.say([server.entry(each) for each in asked if each.exists()])
        elif path.startswith(f"{repository}/tree/main"):
            place = folder / path.removeprefix(f"{repository}/tree/main").lstrip("/")
            wanted = parse_qs(said)
            found = sorted(place.rglob("*") if wanted.get("recursive") in (["True"], ["true"]) else place.glob("*"))
            begin = int(wanted.pop("cursor", ["0"])[0])
            end = begin + server.page
            following = urlencode({**wanted, "cursor": end}, doseq=True) if end < len(found) else ""
            shown = [server.entry(each) for each in found[begin:end]]
            link = f'<{server.url}{path}?{following}>; rel="next"' if following else ""
            self.say(shown if place.is_dir() else {}, place.is_dir(), link)
        elif path == "/api/models":
            owner = parse_qs(said)["author"][0]
            self.say([{"id": REPOSITORY, "modelId": REPOSITORY}] if REPOSITORY.startswith(f"{owner}/") else [])
        else:
            known = path in {repository, f"{repository}/revision/main"}
            self.say({"id": REPOSITORY, "sha": "0" * 40, "siblings": [], "tags": []}, known)

    def say(self, content: object, known: bool = True, link: str = "") -> None:
        """Answer with JSON, and with where the next page is."""
        body = json.dumps(content).encode()
        self.send_response(200 if known else 404)
        if not known:
            self.send_header("X-Error-Code", "RepoNotFound" if "/tree/" not in self.path else "EntryNotFound")
        if link:
            self.send_header("Link", link)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def hub(files: FileServer) -> Generator[HubServer]:
    """Serve a hub as long as the context lasts."""
    server = HubServer(files)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
