"""The language server: diagnostics at each save, the layers that a line makes, and the ignore of a finding.

It speaks the Language Server Protocol over standard input and output. It runs the code of the workspace, so it does
that only where the editor says that the workspace is trusted, or the user does when asked.
"""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lsprotocol import types
from pygls import uris
from pygls.lsp.server import LanguageServer

from cnnlint.definitions.comments import Code
from cnnlint.editing.inserting import insertion, is_for_code
from cnnlint.editing.places import Remark, layers_of, remarks
from cnnlint.editing.session import EditingSession, Look, defined_here
from cnnlint.engine.config.nearest import Documents
from cnnlint.engine.config.schema import Flags
from cnnlint.errors import CnnlintError, __version__
from cnnlint.report.printable import printable
from cnnlint.results import Severity

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from cnnlint.definitions.target import Definition
    from cnnlint.results import Frame

SEVERITIES = {
    Severity.ERROR: types.DiagnosticSeverity.Error,
    Severity.WARNING: types.DiagnosticSeverity.Warning,
    Severity.INFO: types.DiagnosticSeverity.Information,
}

RUN, LATER = "Run them", "Not now"

ASKED = (
    "cnnlint lints the networks that this workspace defines by running their Python code. "
    "Run the [[definitions]] of {config} at each save?"
)

REASON = "TODO: say why"
"""What stands in an ignore until somebody gives the reason."""


class Server(LanguageServer):
    """The state of one editor's session."""

    def __init__(self) -> None:
        super().__init__("cnnlint", __version__)  # pyright: ignore[reportUnknownMemberType] - what else it takes has no types
        self.trusted = False
        self.looks = dict[str, Look]()
        self._session: EditingSession | None = None
        self._due: dict[str, Definition] = {}
        self._is_busy = False
        self._told = dict[str, dict[str, list[types.Diagnostic]]]()
        # one definition after the other: they share a process
        self._thread = ThreadPoolExecutor(max_workers=1)

    async def begin(self) -> None:
        """Lint all definitions of the workspace, if its code may be run."""
        folders = self.workspace.folders
        root = uris.to_fs_path(next(iter(folders))) if folders else self.workspace.root_path
        if root is not None and os.path.isdir(root):
            os.chdir(root)
        try:
            session = EditingSession(defined_here, Flags())
        except CnnlintError as error:
            self._complain(error)
            return
        config = Documents().here()
        if not session.definitions or config is None:
            return
        if not self.trusted:
            actions = [types.MessageActionItem(title) for title in (RUN, LATER)]
            message = ASKED.format(config=printable(str(config.path)))
            question = types.ShowMessageRequestParams(types.MessageType.Warning, message, actions)
            answer = await self.window_show_message_request_async(question)
            if answer is None or answer.title != RUN:
                return
        self._session = session
        await self.lint(session.definitions)

    async def saved(self, path: str) -> None:
        """Lint the definitions that a file concerns again."""
        if self._session is None:
            return
        before = {definition.name for definition in self._session.definitions}
        try:
            concerned = self._session.concerned([path])
        except CnnlintError as error:
            self._complain(error)
            return
        for gone in before - {definition.name for definition in self._session.definitions}:
            self.looks.pop(gone, None)
            self._publish(gone, {})
        await self.lint(concerned)

    async def lint(self, definitions: Collection[Definition]) -> None:
        """Lint definitions and publish what is found; those that are saved meanwhile are linted once more."""
        self._due |= {definition.name: definition for definition in definitions}
        if self._is_busy or self._session is None:
            return
        self._is_busy = True
        try:
            while self._due:
                definition = self._due.pop(next(iter(self._due)))
                run = asyncio.get_running_loop().run_in_executor
                try:
                    look = await run(self._thread, self._session.look, definition)
                except CnnlintError as error:
                    self._complain(error)
                    continue
                self.looks[definition.name] = look
                self._publish(definition.name, self._diagnostics(look))
        finally:
            self._is_busy = False

    def end(self) -> None:
        """End the process that runs the definitions."""
        if self._session is not None:
            self._session.close()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _diagnostics(self, look: Look) -> dict[str, list[types.Diagnostic]]:
        found = dict[str, list[types.Diagnostic]]()
        for remark in remarks(look):
            frames = remark.frames
            place = self._location(frames[0]) if frames else self._configuration()
            diagnostic = types.Diagnostic(
                range=place.range,
                message=printable_lines(self._worded(look, remark)),
                severity=SEVERITIES[remark.severity],
                code=remark.code or None,
                source="cnnlint",
                related_information=[
                    types.DiagnosticRelatedInformation(self._location(frame), f"called here, in {frame.function}")
                    for frame in frames[1:]
                ],
            )
            found.setdefault(place.uri, []).append(diagnostic)
        return found

    def _worded(self, look: Look, remark: Remark) -> str:
        several = self._session is not None and len(self._session.definitions) > 1
        return f"{look.definition.name}: {remark.message}" if several else remark.message

    def _configuration(self) -> types.Location:
        config = Documents().here()
        path = str(Path.cwd() if config is None else config.path)
        return types.Location(uris.from_fs_path(path) or "", _line_range(0, 0, 0))

    def _location(self, frame: Frame) -> types.Location:
        uri = uris.from_fs_path(os.path.realpath(frame.file)) or ""
        lines: Sequence[str] = self.workspace.get_text_document(uri).lines if os.path.isfile(frame.file) else ()
        text = lines[frame.line - 1].rstrip("\r\n") if frame.line <= len(lines) else ""
        begin, end = len(text) - len(text.lstrip()), len(text)
        if frame.end and text == frame.text:  # else it holds tabs, or has changed since
            begin, end = frame.begin, frame.end
        units = self.workspace.position_codec.client_num_units
        return types.Location(uri, _line_range(frame.line - 1, units(text[:begin]), units(text[:end])))

    def _publish(self, name: str, found: dict[str, list[types.Diagnostic]]) -> None:
        """Replace what was said of a definition; a file has what all definitions say of it."""
        before = self._told.get(name, {})
        self._told[name] = found
        for uri in {**before, **found}:
            told = [diagnostic for each in self._told.values() for diagnostic in each.get(uri, [])]
            self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, told))

    def _complain(self, error: CnnlintError) -> None:
        message = f"cnnlint: {printable(str(error))}"
        self.window_show_message(types.ShowMessageParams(types.MessageType.Error, message))


def server() -> Server:
    """Return a server that has yet to be started."""
    created = Server()

    @created.feature(types.INITIALIZE)
    def initialize(server: Server, params: types.InitializeParams) -> None:
        options: Any = params.initialization_options
        given = cast("dict[str, Any]", options) if isinstance(options, dict) else {}
        server.trusted = given.get("trusted") is True

    @created.feature(types.INITIALIZED)
    async def initialized(server: Server, _: types.InitializedParams) -> None:
        await server.begin()

    @created.feature(types.TEXT_DOCUMENT_DID_SAVE)
    async def saved(server: Server, params: types.DidSaveTextDocumentParams) -> None:
        path = uris.to_fs_path(params.text_document.uri)
        if path is not None:
            await server.saved(path)

    @created.feature(types.TEXT_DOCUMENT_HOVER)
    def hover(server: Server, params: types.HoverParams) -> types.Hover | None:
        path = uris.to_fs_path(params.text_document.uri)
        found = (
            "" if path is None else layers_of(server.looks.values(), os.path.realpath(path), params.position.line + 1)
        )
        return types.Hover(types.MarkupContent(types.MarkupKind.Markdown, found)) if found else None

    @created.feature(
        types.TEXT_DOCUMENT_CODE_ACTION,
        types.CodeActionOptions(code_action_kinds=[types.CodeActionKind.QuickFix]),
    )
    def code_action(server: Server, params: types.CodeActionParams) -> list[types.CodeAction]:
        return list(_ignores(server, params))

    @created.feature(types.SHUTDOWN)
    def shutdown(server: Server, _: None) -> None:
        server.end()

    return created


def _ignores(server: Server, params: types.CodeActionParams) -> Iterator[types.CodeAction]:
    """Yield for each finding of the range the edit that ignores it where it stands."""
    uri = params.text_document.uri
    path = os.path.realpath(uris.to_fs_path(uri) or "")
    code = Code(server.workspace.get_text_document(uri).source)
    nodes = [node for look in server.looks.values() if look.drawing is not None for node in look.drawing.nodes]
    frames = {frame for node in nodes for frame in node.frames}
    made = {frame.line for frame in frames if os.path.realpath(frame.file) == path}
    units = server.workspace.position_codec.client_num_units
    offered = set[tuple[int, str]]()  # several networks may say the same of a line
    for diagnostic in params.context.diagnostics:
        line, rule = diagnostic.range.start.line + 1, diagnostic.code
        if diagnostic.source != "cnnlint" or not isinstance(rule, str) or not is_for_code(rule):
            continue
        put = insertion(code, line, made, [rule], REASON) if line <= len(code.lines) else None
        if put is None or (line, rule) in offered:
            continue
        offered.add((line, rule))
        text = code.lines[put.line - 1]
        edit = types.TextEdit(_line_range(put.line - 1, units(text[: put.begin]), units(text[: put.end])), put.text)
        yield types.CodeAction(
            title=f"Ignore {rule} on this line",
            kind=types.CodeActionKind.QuickFix,
            diagnostics=[diagnostic],
            edit=types.WorkspaceEdit(changes={uri: [edit]}),
        )


def _line_range(line: int, begin: int, end: int) -> types.Range:
    return types.Range(types.Position(max(line, 0), begin), types.Position(max(line, 0), end))


def printable_lines(text: str) -> str:
    """Return a text of several lines with control characters made visible."""
    return "\n".join(map(printable, text.splitlines()))
