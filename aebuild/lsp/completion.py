"""What may be typed at a place: keys, names of parts, choices."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

from lsprotocol import types

from aebuild.lang.part import Part
from aebuild.lang.source import read
from aebuild.lang.tree import Tree
from aebuild.lsp.document import Document, top_keys
from aebuild.lsp.hover import LAYER_KEYS
from aebuild.lsp.meaning import described, first_sentence, kinds
from aebuild.lsp.outline import Key, Spot, spot_at
from aebuild.parts import discover

MARK = "aebuild_types_here"
_WORD = re.compile(r"\w*$")
_REST = re.compile(r"\w*")
_LIMIT = 64 * 1024          # characters of a text that is still completed; each key stroke reads it several times


def completions(document: Document, line: int, column: int) -> list[types.CompletionItem]:
    """What fits at a place of a text that may be half typed; the missing and the required first."""
    if len(document.text) > _LIMIT or not (document.is_spec or not document.text.strip()):
        return []
    discover()
    offset = document.offset(line, column)
    found = _marked(document.text, offset)
    if found is None:
        return []
    spot, is_key, colon = found
    if is_key:
        assert spot.parent is not None
        return list(_keys(spot.parent, colon))
    return list(_values(spot))


def _marked(text: str, offset: int) -> tuple[Spot, bool, bool] | None:
    """The spot that a mark at the offset would be, whether as a key, and whether a colon follows already."""
    before = text[:offset]
    before = before[:len(before) - len(_WORD.search(before)[0])]          # type: ignore[index]  # matches everywhere
    after = text[offset + len(_REST.match(text, offset)[0]):]             # type: ignore[index]
    line, _, rest = after.partition("\n")
    colon = line.lstrip().startswith(":")
    closers = _open_brackets(before)
    place = before.count("\n") + 1, len(before) - before.rfind("\n")
    for tail in (after, f"{closers}\n{rest}", closers):
        for mark in (MARK,) if colon else (f"{MARK}: 0", MARK):
            tree, _ = read(before + mark + tail, "typed")
            if tree is not None and (spot := _find(tree, *place)) is not None:
                return spot[0], spot[1], colon
    return None


def _find(tree: Tree, line: int, column: int) -> tuple[Spot, bool] | None:
    """The spot of the mark that begins there, if it became a key or a value."""
    at = spot_at(tree, line, column)
    return at if at is not None and (at[0].step if at[1] else at[0].tree.value) == MARK else None


def _open_brackets(text: str) -> str:
    """What closes the brackets that the text leaves open."""
    wanted: list[str] = []
    quote = ""
    for number, char in enumerate(text):
        if quote:
            quote = "" if char in (quote, "\n") else quote
        elif char in "'\"" and (number == 0 or text[number - 1] in " [{,:"):
            quote = char
        elif char == "#" and (number == 0 or text[number - 1].isspace()):
            quote = "\n"
        elif char in "[{":
            wanted.append("]" if char == "[" else "}")
        elif char in "]}" and wanted:
            wanted.pop()
    return "".join(reversed(wanted))


def _keys(holder: Spot, colon: bool) -> Iterator[types.CompletionItem]:
    assert isinstance(holder.tree.value, dict)
    known = holder.keys()
    beside = set(holder.tree.value) - {MARK}
    if any(key.names is not None for key in known.values()) and holder.key.names is None and isinstance(holder.step, int):
        if not beside:                                            # `- conv` or `- conv: {...}` of a list
            yield from _parts({name: key.names for name, key in known.items() if key.names is not None}, "" if colon else ": ")
        return
    aliases = _aliases(holder.part)
    for key, entry in known.items():
        if key not in beside:
            yield _key_item(holder, key, entry, aliases.get(key, []), "" if colon else ": ")


def _key_item(holder: Spot, key: str, entry: Key, aliases: list[str], colon: str) -> types.CompletionItem:
    owner, name = entry.owner, entry.field
    has = owner is not None and name in owner.model_fields
    required = has and owner is not None and owner.model_fields[name].is_required() or key in ("type", "layer")
    if has and owner is not None:
        text, detail = described(owner, name, key), kinds(owner, name)
    elif entry.names is not None:
        text, detail = first_sentence(entry.names.__doc__), ""
    else:
        text, detail = {**LAYER_KEYS, **(top_keys() if not holder.path else {})}.get(key, ""), ""
    if aliases:
        text += f"\n\nelsewhere called {', '.join(aliases)}"
    return types.CompletionItem(key, kind=types.CompletionItemKind.Property, detail=detail + (" · required" if required else ""),
                                documentation=types.MarkupContent(types.MarkupKind.Markdown, text), insert_text=f"{key}{colon}",
                                sort_text=f"{0 if required else 1}{key}", filter_text=" ".join([key, *aliases]))


def _aliases(part: type[Part] | None) -> dict[str, list[str]]:
    """Other libraries' words for the keys of a part."""
    found: dict[str, list[str]] = {}
    for home in part.__mro__ if part is not None else ():
        for other, own in getattr(home, "foreign", {}).items():
            if other not in found.setdefault(own, []):
                found[own].append(other)
    return found


def _values(spot: Spot) -> Iterator[types.CompletionItem]:
    yield from _parts(spot.family, "")
    key = spot.key
    words = _choices(key.owner.model_fields[key.field].annotation) if key.owner is not None and key.field in key.owner.model_fields else []
    for word in dict.fromkeys(words):
        yield types.CompletionItem(word, kind=types.CompletionItemKind.EnumMember, sort_text=f"0{word}")


def _choices(hint: Any) -> list[str]:
    """The words that an annotation takes."""
    if hint is bool:
        return ["true", "false"]
    if get_origin(hint) is Literal:
        return [str(word) for word in get_args(hint)]
    if hint is type(None):
        return ["none"]
    return [word for arg in get_args(hint) for word in _choices(arg)]


def _parts(family: Mapping[str, type[Part]], colon: str) -> Iterator[types.CompletionItem]:
    for name, part in family.items():
        required = any(info.is_required() for field, info in part.model_fields.items() if field != "type")
        text = first_sentence(part.__doc__) + (f"\n\nelsewhere called {', '.join(part.also)}" if part.also else "")
        yield types.CompletionItem(name, kind=types.CompletionItemKind.Class, detail=part.family.replace("_", " "),
                                   documentation=types.MarkupContent(types.MarkupKind.Markdown, text),
                                   insert_text=name + (colon if required else ""), sort_text=f"0{name}",
                                   filter_text=" ".join([name, *part.also]))
