"""An editor, as far as a language server sees one: JSON-RPC over the streams of a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from queue import SimpleQueue
from typing import Any

Message = dict[str, Any]

PATIENCE = 120.0
"""Seconds to wait for a message: TensorFlow is imported on the way to the first diagnostics."""


class Editor:
    """Starts `cnnlint server` in a folder, and talks to it as an editor does."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder = folder
        self._last = 0
        self._messages = SimpleQueue[Message | None]()
        self._kept = list[Message]()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cnnlint", "server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=folder.parent,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        threading.Thread(target=self._read, daemon=True).start()
        uri = folder.as_uri()
        self.capabilities = self.ask(
            "initialize",
            processId=os.getpid(),
            rootUri=uri,
            workspaceFolders=[{"uri": uri, "name": folder.name}],
            initializationOptions=options,
            capabilities={"textDocument": {"publishDiagnostics": {"relatedInformation": True}}},
        )["capabilities"]
        self.tell("initialized")

    def __enter__(self) -> Editor:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.ask("shutdown")
            self.tell("exit")
            self.process.wait(20)
        self.process.stdin.close()
        self.process.stdout.close()

    def uri(self, name: str) -> str:
        return (self.folder / name).as_uri()

    def tell(self, method: str, **params: Any) -> None:
        self._send({"method": method, "params": params})

    def ask(self, method: str, **params: Any) -> Any:
        self._last += 1
        number = self._last
        self._send({"id": number, "method": method, "params": params or None})
        answer = self.wait(lambda message: message.get("id") == number and "method" not in message)
        assert "error" not in answer, answer
        return answer["result"]

    def answer(self, question: Message, result: Any) -> None:
        self._send({"id": question["id"], "result": result})

    def wait(self, wanted: Any) -> Message:
        """Return the first message, of those that no earlier wait took, that is wanted."""
        for message in self._kept:
            if wanted(message):
                self._kept.remove(message)
                return message
        while (message := self._messages.get(timeout=PATIENCE)) is not None:
            if wanted(message):
                return message
            self._kept.append(message)
        raise AssertionError("the server has ended")

    def seen(self) -> list[Message]:
        """Return the messages that no wait has taken."""
        return list(self._kept)

    def diagnostics(self, name: str) -> list[Message]:
        """Return what is published next for a file."""
        uri = self.uri(name)
        told = self.wait(
            lambda message: (
                message.get("method") == "textDocument/publishDiagnostics" and message["params"]["uri"] == uri
            )
        )
        return told["params"]["diagnostics"]

    def open(self, name: str) -> None:
        text = (self.folder / name).read_text(encoding="utf-8")
        document = {"uri": self.uri(name), "languageId": "python", "version": 1, "text": text}
        self.tell("textDocument/didOpen", textDocument=document)

    def save(self, name: str, text: str) -> None:
        """Write a file that is open, and say so."""
        (self.folder / name).write_text(text, encoding="utf-8")
        document = {"uri": self.uri(name), "version": 2}
        self.tell("textDocument/didChange", textDocument=document, contentChanges=[{"text": text}])
        self.tell("textDocument/didSave", textDocument={"uri": self.uri(name)})

    def _send(self, message: Message) -> None:
        content = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(content) + content)
        self.process.stdin.flush()

    def _read(self) -> None:
        stream = self.process.stdout
        while head := stream.readline():
            length = int(head.partition(b":")[2])
            while stream.readline().strip():
                pass
            self._messages.put(json.loads(stream.read(length)))
        self._messages.put(None)
