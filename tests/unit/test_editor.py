"""What an editor is shown, as functions of a text and a place; and one session of a real client with the server."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pytest
from lsprotocol import types

import aebuild.lsp.server as server_module
from aebuild.compile.front import load
from aebuild.lsp.code_actions import code_actions
from aebuild.lsp.completion import completions
from aebuild.lsp.definition import definition
from aebuild.lsp.document import Document
from aebuild.lsp.findings import diagnostics
from aebuild.lsp.hover import hover
from aebuild.lsp.inlay_hints import inlay_hints
from aebuild.lsp.positions import Positions
from aebuild.lsp.symbols import symbols

SPEC = """\
name: small
data: digits
encoder:
  - conv: {width: 16, stride: 2}   # halves
  - residual: [conv: 16]
  - linear: {width: 32, activation: tanh}
latent: {type: gaussian, dim: 4}
decoder: mirror
"""
HEAD = "data: digits\nencoder: [linear: 8]\n"


def document(text: str, encoding: str = "utf-16", path: str = "spec.yaml") -> Document:
    return Document(Path(path), text, encoding)


def at(text: str) -> tuple[Document, int, int]:
    """The text without its `|`, and where that stood."""
    offset = text.index("|")
    made = document(text[:offset] + text[offset + 1:])
    return made, *made.place(offset)


def offered(text: str) -> list[types.CompletionItem]:
    return sorted(completions(*at(text)), key=lambda item: item.sort_text or "")


def test_findings_are_those_of_validate() -> None:
    text = SPEC.replace("stride", "strde").replace("dim: 4", "dim: four") + "train: {epochs: 1}\ntrain: {epochs: 2}\n"
    shown, found = diagnostics(document(text)), load("spec.yaml", text=text).diagnostics
    assert {(each.code, each.range.start.line + 1) for each in shown} == {(each.code, each.span.line) for each in found if each.span}
    assert all(each.severity == types.DiagnosticSeverity.Error and each.source == "aebuild" for each in shown)
    twice = next(each for each in shown if "twice" in each.message)
    assert twice.related_information[0].location.range.start.line == twice.range.start.line - 1
    warned = diagnostics(document(SPEC.replace("dim: 4", "dim: 32").replace("gaussian", "continuous")))
    assert {each.severity for each in warned} == {types.DiagnosticSeverity.Warning}


def test_a_finding_in_the_extended_file_is_shown_at_extends(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(SPEC.replace("dim: 4", "dmi: 4"))
    shown, *_ = diagnostics(Document(tmp_path / "own.yaml", "name: own\nextends: base.yaml\n"))
    assert shown.range.start.line == 1
    assert shown.related_information[0].location.uri == (tmp_path / "base.yaml").as_uri()


@pytest.mark.parametrize("text", ["on: push\nname: CI\njobs: {}\n", "services:\n  web: {image: x}\n", "", "- a\n- b\n", "\0\1" * 400, "%PDF-1.4 " * 60_000])
def test_what_is_no_spec_is_left_alone(text: str) -> None:
    one = document(text)
    assert diagnostics(one) == code_actions(one, 1, 9) == inlay_hints(one) == symbols(one) == []
    assert hover(one, 1, 1) is definition(one, 1, 1) is None


@pytest.mark.parametrize("cut", range(3, len(SPEC), 7))
def test_half_typed_text_is_survived(cut: int) -> None:
    one = document(SPEC[:cut])
    line, column = one.place(cut)
    for _ in (diagnostics(one), hover(one, line, column), completions(one, line, column), definition(one, line, column), inlay_hints(one), symbols(one)):
        pass


def test_columns_are_counted_as_the_editor_counts_them() -> None:
    text = SPEC.replace("halves", "\t🧠é").replace("name: small", "name: small\ndescription: {🧠é: 1}")
    for encoding, before in (("utf-16", 17), ("utf-8", 20), ("utf-32", 16)):
        lines = Positions(["description: {🧠é: 1}\t"], encoding)
        assert lines.outward(1, 17) == types.Position(0, before)
        assert lines.inward(types.Position(0, before)) == (1, 17)
        assert lines.inward(types.Position(0, 15)) == (1, 16 if encoding == "utf-32" else 15)      # inside the emoji where it has several units
        assert lines.inward(types.Position(0, 999)) == (1, len(lines.lines[0]) + 1)
        assert lines.outward(9, 3) == types.Position(8, 0)
        shown = next(each for each in diagnostics(document(text, encoding)) if each.code == "AE105")
        assert shown.range.end.character == len("description: {🧠é: 1}".encode(f"{encoding}-le" if encoding != "utf-8" else encoding)) // (
            {"utf-8": 1, "utf-16": 2, "utf-32": 4}[encoding])


@pytest.mark.parametrize(("wrong", "right"), [
    (SPEC.replace("stride: 2}   #", "strde: 2}   #"), SPEC),
    (SPEC.replace("dim: 4}", "dmi: 4}"), SPEC),
    (SPEC.replace("tanh", "tnah"), SPEC),
    (SPEC + "train:\n  epcohs: 3   # few\n  seed: 1\n", SPEC + "train:\n  epochs: 3   # few\n  seed: 1\n"),
])
def test_a_quick_fix_mends_and_keeps_comments(wrong: str, right: str) -> None:
    one = document(wrong)
    action, = code_actions(one, 1, 99)
    (edit,), = action.edit.changes.values()
    start, end = (one.offset(*one.positions.inward(place)) for place in (edit.range.start, edit.range.end))
    assert wrong[:start] + edit.new_text + wrong[end:] == right
    assert code_actions(one, 1, 1) == []


@pytest.mark.parametrize(("text", "first", "others"), [
    ("|", "encoder: ", {"latent: ", "extends: "}),
    (HEAD + "la|", "latent: ", {"losses: "}),
    (HEAD + "latent: {type: ga|", "adversarial", {"gaussian", "codebook"}),
    (HEAD + "latent: {type: gaussian, |\ndecoder: mirror\n", "dim: ", {"prior: "}),
    (HEAD + "latent:\n  type: gaussian\n  |\n", "dim: ", {"prior: "}),
    ("encoder:\n  - co|\nlatent: {type: continuous, dim: 2}\n", "activation: ", {"conv: ", "flatten"}),
    ("encoder:\n  - conv: {|", "width: ", {"stride: ", "kernel: "}),
    ("encoder: {layer: conv, |}", "width: ", {"depth: ", "skip: "}),
    ("encoder: [linear: {width: 3, activation: |}]", "elu", {"none", "tanh"}),
    (HEAD + "losses: {kl: {|}}", "capacity: ", {"weight: ", "free_bits: "}),
    (HEAD + "train: {optimizer: {|}}", "type: ", {"lr: ", "betas: "}),
    (HEAD + "train: {keep: |}", "best", {"last"}),
    (HEAD + "corrupt:\n  - |", "block_mask: ", {"gaussian: ", "mask: "}),
    (HEAD + "heads: {a: {network: [|]}}", "activation: ", {"linear: "}),
])
def test_what_fits_is_offered(text: str, first: str, others: set[str]) -> None:
    items = offered(text)
    words = [item.insert_text or item.label for item in items]
    assert words[0] == first
    assert others <= set(words)
    assert all(isinstance(item.documentation, types.MarkupContent) or item.kind == types.CompletionItemKind.EnumMember for item in items)


def test_what_is_written_is_not_offered_again_and_other_words_find_it() -> None:
    items = {item.label: item for item in offered(HEAD + "latent: {type: gaussian, dim: 3, |}")}
    assert "dim" not in items
    linear = next(item for item in offered("encoder: [|]") if item.label == "linear")
    assert "dense" in linear.filter_text.casefold()
    assert "elsewhere called" in linear.documentation.value


def test_hovering_tells_meaning_bounds_types_and_cost() -> None:
    one = document(SPEC)
    told = hover(one, 4, 13).contents.value
    assert "output channels" in told and "≥ 1" in told and "required" in told
    node = next(node for node in load("spec.yaml", text=SPEC).plan.nodes() if node.path == "encoder.0")
    assert f"| encoder.0 | conv | {node.input} | {node.output} | {node.params:,} | {node.all_macs:,} |" in told
    assert "layer conv" in hover(one, 4, 6).contents.value
    wrong = document(SPEC.replace("dim: 4", "dmi: 4"))
    assert "AE101" in hover(wrong, 7, 27).contents.value and "```yaml" in hover(wrong, 7, 27).contents.value


def test_types_stand_behind_the_steps() -> None:
    shown = {(hint.position.line, hint.label) for hint in inlay_hints(document(SPEC))}
    plan = load("spec.yaml", text=SPEC).require()
    assert {(line, label) for line, label in shown if line < 7} == {
        (1, f"→ {plan.input}"), (3, "→ grid(16; 4×4)"), (4, "→ grid(16; 4×4)"), (5, "→ vector(32)"), (6, f"→ {plan.latent.code}")}
    assert inlay_hints(document(SPEC), 4, 4)[0].position == types.Position(3, 32)
    block = inlay_hints(document("data: mnist\nencoder: {layer: conv, width: [4, 8], stride: 2}\nlatent: {type: continuous, dim: 2}\n"))
    assert [(hint.label, hint.position.character) for hint in block if hint.position.line == 1] == [("→ grid(4; 14×14)", 32), ("→ grid(8; 7×7)", 35)]


def test_words_lead_to_steps_and_files(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(SPEC)
    text = "encoder: [conv: 8, conv: 16]\ndecoder: [skip: {from: encoder.1}]\nextends: base.yaml\n"
    one = Document(tmp_path / "own.yaml", text)
    step, file = definition(one, 2, 28), definition(one, 3, 14)
    assert (step.range.start, step.range.end) == (types.Position(0, 19), types.Position(0, 27))
    assert file.uri == (tmp_path / "base.yaml").as_uri()
    assert definition(one, 1, 12) is None
    names = [symbol.name for symbol in symbols(one)]
    assert names == ["encoder", "decoder", "extends"]


def test_only_the_newest_text_is_answered_for() -> None:
    """What has been overtaken is dropped, and an exception ends one answer alone."""
    import asyncio

    ls = server_module.make_server()
    held = {"text": SPEC}

    class Workspace:
        position_encoding = types.PositionEncodingKind.Utf16

        def get_text_document(self, uri: str) -> object:
            return type("Held", (), {"source": held["text"], "path": "/spec.yaml", "version": 1})

    ls.protocol._workspace = Workspace()

    async def overtaken() -> list[object]:
        waiting = asyncio.ensure_future(ls.ask("file:///spec.yaml", lambda text: time.sleep(0.05) or "first", None))
        second = asyncio.ensure_future(ls.ask("file:///spec.yaml", lambda text: "second", None))
        await asyncio.sleep(0.01)
        held["text"] = HEAD
        third = asyncio.ensure_future(ls.ask("file:///spec.yaml", lambda text: text.text, None))
        return [await waiting, await second, await third, await ls.ask("file:///spec.yaml", lambda text: 1 // 0, "none")]

    assert asyncio.run(overtaken()) == ["first", None, HEAD, "none"]
    ls.worker.shutdown()


def test_the_folder_of_vscode_starts_this_program() -> None:
    folder = Path(__file__).parents[2] / "editors" / "vscode"
    package = json.loads((folder / "package.json").read_text())
    options = package["contributes"]["configuration"]["properties"]
    assert options["aebuild.command"]["default"] == ["aebuild", "lsp"]
    assert package["activationEvents"] == ["onLanguage:yaml"]
    assert (folder / package["main"]).is_file()
    program = (folder / package["main"]).read_text()
    assert 'get("command")' in program and 'language: "yaml"' in program
    assert set(package["dependencies"]) == {"vscode-languageclient"}


# ------------------------------------------------------------------------------------------------------------ a whole session


@pytest.mark.slow
def test_a_session_of_a_real_client(tmp_path: Path) -> None:
    import asyncio

    from pytest_lsp import ClientServerConfig, make_test_lsp_client

    wrong = SPEC.replace("strid", "strd").replace("# halves", "# 🧠")
    path = tmp_path / "spec.yaml"
    uri = types.TextDocumentIdentifier(path.as_uri())

    async def session() -> None:
        client = make_test_lsp_client()
        await client.start_io(sys.executable, "-m", "aebuild", "lsp")
        made = await client.initialize_session(types.InitializeParams(capabilities=types.ClientCapabilities(
            text_document=types.TextDocumentClientCapabilities(
                hover=types.HoverClientCapabilities(content_format=[types.MarkupKind.Markdown]),
                completion=types.CompletionClientCapabilities(completion_item=types.ClientCompletionItemOptions(
                    documentation_format=[types.MarkupKind.Markdown]))),
            general=types.GeneralClientCapabilities(position_encodings=[types.PositionEncodingKind.Utf8]))))
        assert made.capabilities.position_encoding == "utf-8"
        client.text_document_did_open(types.DidOpenTextDocumentParams(types.TextDocumentItem(path.as_uri(), "yaml", 1, wrong)))
        await client.wait_for_notification(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        found, = client.diagnostics[path.as_uri()]
        assert found.code == "AE101"
        whole = types.Range(types.Position(0, 0), types.Position(99, 0))
        action, = await client.text_document_code_action_async(types.CodeActionParams(uri, found.range, types.CodeActionContext([found])))
        edit, = action.edit.changes[path.as_uri()]
        client.text_document_did_change(types.DidChangeTextDocumentParams(
            types.VersionedTextDocumentIdentifier(2, path.as_uri()), [types.TextDocumentContentChangePartial(edit.range, edit.new_text)]))
        await client.wait_for_notification(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        assert list(client.diagnostics[path.as_uri()]) == []
        hints = await client.text_document_inlay_hint_async(types.InlayHintParams(uri, whole))
        assert "→ grid(16; 4×4)" in [hint.label for hint in hints]
        told = await client.text_document_hover_async(types.HoverParams(uri, types.Position(3, 12)))
        assert "output channels" in told.contents.value
        items = await client.text_document_completion_async(types.CompletionParams(uri, types.Position(7, 9)))
        assert "mirror" in [item.label for item in items]
        assert await client.text_document_definition_async(types.DefinitionParams(uri, types.Position(1, 8))) is None
        assert await client.text_document_document_symbol_async(types.DocumentSymbolParams(uri))
        client.text_document_did_close(types.DidCloseTextDocumentParams(uri))
        await client.shutdown_session()
        await client.stop()

    assert ClientServerConfig
    asyncio.run(asyncio.wait_for(session(), 60))
