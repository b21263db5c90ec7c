"""How long the language server takes from a key stroke to the findings, and to its other answers.

python benchmarks/lsp.py [--lines 500] [--strokes 40]

A real client and a real server over pipes, one spec of so many lines; each stroke changes a number of one step. The aim is 50 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from lsprotocol import types
from pytest_lsp import make_test_lsp_client


def spec(lines: int) -> str:
    """A spec of that many lines, a layer on each but the first and last few."""
    steps = "".join(f"  - linear: {{width: {32 + row % 7}, activation: tanh}}\n" for row in range(lines - 5))
    return f"name: long\ndata: digits\nencoder:\n{steps}latent: {{type: continuous, dim: 8}}\ndecoder: [linear: 16]\n"


async def measure(lines: int, strokes: int) -> dict[str, list[float]]:
    path = Path(tempfile.mkdtemp()) / "long.yaml"
    uri = types.TextDocumentIdentifier(path.as_uri())
    client = make_test_lsp_client()
    await client.start_io(sys.executable, "-m", "aebuild", "lsp")
    await client.initialize_session(types.InitializeParams(capabilities=types.ClientCapabilities()))
    found: dict[str, list[float]] = {"first findings": [], "findings after a stroke": [], "hover": [], "completion": [], "inlay hints": []}

    began = time.perf_counter()
    client.text_document_did_open(types.DidOpenTextDocumentParams(types.TextDocumentItem(path.as_uri(), "yaml", 0, spec(lines))))
    await client.wait_for_notification(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
    found["first findings"].append(time.perf_counter() - began)
    for stroke in range(1, strokes + 1):
        line = 3 + 7 * stroke % (lines - 6)
        place = types.Range(types.Position(line, 20), types.Position(line, 21))
        began = time.perf_counter()
        client.text_document_did_change(types.DidChangeTextDocumentParams(
            types.VersionedTextDocumentIdentifier(stroke, path.as_uri()), [types.TextDocumentContentChangePartial(place, str(stroke % 10))]))
        await client.wait_for_notification(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        found["findings after a stroke"].append(time.perf_counter() - began)
        at = types.Position(line, 14)
        for name, ask in (("hover", client.text_document_hover_async(types.HoverParams(uri, at))),
                          ("completion", client.text_document_completion_async(types.CompletionParams(uri, at))),
                          ("inlay hints", client.text_document_inlay_hint_async(types.InlayHintParams(uri, types.Range(
                              types.Position(line, 0), types.Position(line + 40, 0)))))):
            began = time.perf_counter()
            await ask
            found[name].append(time.perf_counter() - began)
    await client.shutdown_session()
    await client.stop()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=500)
    parser.add_argument("--strokes", type=int, default=40)
    args = parser.parse_args()
    print("| | median, ms | largest, ms |\n| --- | --: | --: |")
    for name, seconds in asyncio.run(measure(args.lines, args.strokes)).items():
        print(f"| {name} | {1e3 * statistics.median(seconds):.1f} | {1e3 * max(seconds):.1f} |")


if __name__ == "__main__":
    main()
