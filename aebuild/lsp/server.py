"""The server: an editor's questions to the functions that answer them, off the thread that listens."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from lsprotocol import types
from pygls.lsp.server import LanguageServer

from aebuild import __version__
from aebuild.lsp.code_actions import code_actions
from aebuild.lsp.completion import completions
from aebuild.lsp.definition import definition
from aebuild.lsp.document import Document
from aebuild.lsp.findings import diagnostics
from aebuild.lsp.hover import hover
from aebuild.lsp.inlay_hints import inlay_hints
from aebuild.lsp.symbols import symbols

Answer = TypeVar("Answer")
LONG = 0.2                  # seconds: a text that takes longer is checked when nothing has been typed for half of what it takes, or
LONGEST_PAUSE = 0.5


class SpecServer(LanguageServer):
    """Holds the newest version of each text; one thread does all that takes time, and skips what has been overtaken."""

    def __init__(self) -> None:
        super().__init__("aebuild", __version__)
        self.worker = ThreadPoolExecutor(1, "aebuild-lsp")
        self.newest: dict[str, Document] = {}
        self.pause = 0.0

    def document(self, uri: str) -> Document:
        """The text as the editor has it now."""
        held = self.workspace.get_text_document(uri)
        text, known = held.source, self.newest.get(uri)
        if known is None or known.text != text:
            encoding = getattr(self.workspace.position_encoding, "value", self.workspace.position_encoding) or "utf-16"
            known = self.newest[uri] = Document(Path(held.path or uri), text, str(encoding))
        return known

    async def ask(self, uri: str, question: Callable[[Document], Answer], otherwise: Answer) -> Answer:
        """The answer for the newest text; `otherwise` where that is overtaken, or the question fails."""
        document = self.document(uri)

        def answer() -> Answer:
            if self.newest.get(uri) is not document:
                return otherwise
            try:
                return question(document)
            except Exception:
                logging.getLogger("aebuild.lsp").exception("a question could not be answered")
                return otherwise

        return await asyncio.get_running_loop().run_in_executor(self.worker, answer)

    async def check(self, uri: str, version: int | None) -> None:
        """Tells the findings of a text, unless it changes meanwhile."""
        self.document(uri)
        document = self.newest[uri]
        if self.pause:
            await asyncio.sleep(self.pause)
        if self.newest.get(uri) is not document:
            return
        began = time.monotonic()
        found = await self.ask(uri, diagnostics, None)
        if found is not None and self.newest.get(uri) is document:
            took = time.monotonic() - began
            self.pause = min(LONGEST_PAUSE, took / 2) if took > LONG else 0.0
            self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, found, version))

    async def check_all(self) -> None:
        """Every open text anew, since a file that one of them extends may have changed."""
        for uri in list(self.newest):
            del self.newest[uri]
            await self.check(uri, self.workspace.get_text_document(uri).version)


def make_server() -> SpecServer:
    """A server with all that it can do."""
    server = SpecServer()
    _follow(server)
    _answer(server)
    return server


def serve(port: int | None = None) -> None:
    """Serves one editor on stdin and stdout, or on a port of this machine, until it says to stop."""
    server = make_server()
    if port is None:
        server.start_io(os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb"))          # it closes them
    else:
        server.start_tcp("127.0.0.1", port)


def _follow(server: SpecServer) -> None:
    """What an editor tells: texts opened, changed, saved and closed."""
    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    async def opened(ls: SpecServer, params: types.DidOpenTextDocumentParams) -> None:
        await ls.check(params.text_document.uri, params.text_document.version)

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    async def changed(ls: SpecServer, params: types.DidChangeTextDocumentParams) -> None:
        await ls.check(params.text_document.uri, params.text_document.version)

    @server.feature(types.TEXT_DOCUMENT_DID_SAVE)
    async def saved(ls: SpecServer, params: types.DidSaveTextDocumentParams) -> None:
        await ls.check_all()

    @server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    async def changed_outside(ls: SpecServer, params: types.DidChangeWatchedFilesParams) -> None:
        await ls.check_all()

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def closed(ls: SpecServer, params: types.DidCloseTextDocumentParams) -> None:
        ls.newest.pop(params.text_document.uri, None)
        ls.text_document_publish_diagnostics(types.PublishDiagnosticsParams(params.text_document.uri, []))

    @server.feature(types.SHUTDOWN)
    def ended(ls: SpecServer, params: Any) -> None:
        ls.worker.shutdown(wait=False, cancel_futures=True)


def _answer(server: SpecServer) -> None:
    """What an editor asks at a place."""
    @server.feature(types.TEXT_DOCUMENT_HOVER)
    async def on_hover(ls: SpecServer, params: types.HoverParams) -> types.Hover | None:
        return await ls.ask(params.text_document.uri, lambda text: hover(text, *text.positions.inward(params.position)), None)

    @server.feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=[" ", "{", "[", "-", ",", ":"]))
    async def on_completion(ls: SpecServer, params: types.CompletionParams) -> list[types.CompletionItem]:
        return await ls.ask(params.text_document.uri, lambda text: completions(text, *text.positions.inward(params.position)), [])

    @server.feature(types.TEXT_DOCUMENT_DEFINITION)
    async def on_definition(ls: SpecServer, params: types.DefinitionParams) -> types.Location | None:
        return await ls.ask(params.text_document.uri, lambda text: definition(text, *text.positions.inward(params.position)), None)

    @server.feature(types.TEXT_DOCUMENT_CODE_ACTION, types.CodeActionOptions(code_action_kinds=[types.CodeActionKind.QuickFix]))
    async def on_code_action(ls: SpecServer, params: types.CodeActionParams) -> list[types.CodeAction]:
        uri, chosen = params.text_document.uri, params.range
        return await ls.ask(uri, lambda text: code_actions(text, chosen.start.line + 1, chosen.end.line + 1, uri), [])

    @server.feature(types.TEXT_DOCUMENT_INLAY_HINT)
    async def on_inlay_hint(ls: SpecServer, params: types.InlayHintParams) -> list[types.InlayHint]:
        shown = params.range
        return await ls.ask(params.text_document.uri, lambda text: inlay_hints(text, shown.start.line + 1, shown.end.line + 1), [])

    @server.feature(types.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
    async def on_symbols(ls: SpecServer, params: types.DocumentSymbolParams) -> list[types.DocumentSymbol]:
        return await ls.ask(params.text_document.uri, symbols, [])
