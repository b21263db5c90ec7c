"""Texts out of files, read piece by piece: a text file, lines, records of .jsonl, a column of a table."""

from __future__ import annotations

import codecs
import io
import json
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from aebuild.data.errors import fault, must_fit, reading, regular_file, shown
from aebuild.data.formats import columnar, csv
from aebuild.data.letters import CHUNK, Letters, LetterWriter
from aebuild.data.probe import plural
from aebuild.data.rules import DAMAGED, NO_SUCH_NAME, TOO_FEW
from aebuild.lang.dataset import Dataset
from aebuild.lang.diagnostics import Hint
from aebuild.lang.regular_files import open_regular

RECORDS = (".jsonl", ".ndjson")
TABLES = (".csv", ".tsv", *columnar.ENDINGS)
HELD = 3                  # bytes that a byte of text takes at most while it is read, of what has no more than 256 characters
Cells = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Corpus:
    """Texts as they stand in a file: one a sample, or a single one to be cut into pieces.

    `beside` reads the other columns as cells, when it is asked; `places` say where each text stands, in `word`s.
    """

    path: Path
    letters: Letters
    places: Sequence[int]
    word: str
    beside: Callable[[], Cells] = dict
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What messages call the file."""
        return shown(self.path.name)


def read_corpus(path: Path, column: str | int | None, whole: bool, part: Dataset) -> Corpus:
    """The texts of a file: a column of a table, a key of JSON records, lines, or all of it as one."""
    ending = path.suffix.lower()
    if ending in TABLES:
        return _of_table(path, column, part)
    must_fit(HELD * regular_file(path), shown(path))
    if ending in RECORDS:
        return _of_records(path, "text" if column is None else str(column), part)
    writer = LetterWriter()
    if whole:
        for piece in _pieces(path):
            writer.extend(piece)
        writer.extend("")
        return Corpus(path, writer.done(), [1], "character")
    places = array("q")
    for number, lines in _lines(path):
        kept = [place for place, line in enumerate(lines) if line.strip()]
        writer.add([lines[place] for place in kept])
        places.extend(number + place for place in kept)
    if not places:
        raise fault(TOO_FEW, f"{shown(path)} holds no line of text")
    return Corpus(path, writer.done(), places, "line", lambda: {"line": list(map(str, places))})


def _pieces(path: Path) -> Iterator[str]:
    """A UTF-8 file piece by piece, with the ends of lines of Unix."""
    begun = 0
    with reading(path), open_regular(path) as file:
        decoder = codecs.getincrementaldecoder("utf-8")()
        ends = io.IncrementalNewlineDecoder(None, translate=True)
        data = file.read(CHUNK)
        if data.startswith(codecs.BOM_UTF8):
            begun, data = len(codecs.BOM_UTF8), data[len(codecs.BOM_UTF8):]
        while data:
            after = file.read(CHUNK)
            pending = len(decoder.getstate()[0])
            try:
                piece = decoder.decode(data, not after)
            except UnicodeDecodeError as error:
                place = begun - pending + error.start
                raise fault(DAMAGED, f"{shown(path)} is not UTF-8 text (byte {place:,} is {error.object[error.start]:#04x})",
                            Hint("save it as UTF-8")) from error
            yield ends.decode(piece, not after)
            begun, data = begun + len(data), after


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The lines of a file, many at a time, and the number of the first of them."""
    number, carried = 1, [""]
    for piece in _pieces(path):
        carried.append(piece)
        if "\n" in piece:
            *lines, last = "".join(carried).split("\n")
            yield number, lines
            number, carried = number + len(lines), [last]
    yield number, ["".join(carried)]


def _records(path: Path) -> Iterator[tuple[int, Any]]:
    """The JSON of each line that holds something, and its number."""
    for first, lines in _lines(path):
        for number, line in enumerate(lines, first):
            if not line.strip():
                continue
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError) as error:
                raise fault(DAMAGED, f"{shown(path)}, line {number} is not JSON: {shown(error)}") from error


def _of_records(path: Path, key: str, part: Dataset) -> Corpus:
    places, others = array("q"), dict[str, None]()

    def texts() -> Iterator[str]:
        for number, row in _records(path):
            if not isinstance(row, dict) or not isinstance(row.get(key), str):
                names = ", ".join(map(shown, row)) if isinstance(row, dict) else "no keys at all"
                raise fault(NO_SUCH_NAME, f"{shown(path)}, line {number} has no text under {shown(key)}; it has {names}", part=part,
                            at=("column", "path"))
            if not _whole(row[key]):
                raise fault(DAMAGED, f"{shown(path)}, line {number} holds half of a surrogate pair, which is no character", part=part,
                            at=("path",))
            if not places:
                others.update(dict.fromkeys(name for name in row if name != key))
            for name in [name for name in others if not isinstance(row.get(name), str | int | float | bool)]:
                del others[name]
            places.append(number)
            yield row[key]

    letters = _written(texts())
    if not places:
        raise fault(TOO_FEW, f"{shown(path)} holds no record")
    return Corpus(path, letters, places, "line", partial(_cells, path, tuple(others)))


def _whole(text: str) -> bool:
    """False for text with a half of a character, which JSON can write but nothing can store."""
    try:
        return text.isascii() or bool(text.encode())
    except UnicodeEncodeError:
        return False


def _cells(path: Path, names: Sequence[str]) -> Cells:
    """Some keys of all records as words."""
    found: dict[str, list[str]] = {name: [] for name in names}
    for _, row in _records(path) if names else ():
        for name, held in found.items():
            held.append(str(row[name]))
    return found


def _of_table(path: Path, column: str | int | None, part: Dataset) -> Corpus:
    """A column of words; the only one where none is named."""
    top = None if path.suffix.lower() in columnar.ENDINGS else csv.head(path)
    numeric = columnar.head(path)[0] if top is None else dict(zip(top.names, top.numeric, strict=True))
    names = tuple(numeric) if top is None else top.names
    wordy = [name for name in names if not numeric[name]]
    if column is None and len(wordy) != 1:
        raise fault(NO_SUCH_NAME, f"{shown(path.name)} has {plural(len(wordy), 'column')} of words, and nothing says which one is the "
                    f"text; its columns are {', '.join(map(shown, names))}", Hint("column: NAME"), part=part, at=("column", "path"))
    chosen = wordy[0] if column is None else str(column) if str(column) in names else _counted(names, column)
    if chosen is None:
        raise fault(NO_SUCH_NAME, f"{shown(path.name)} has no column {shown(column)}; its columns are {', '.join(map(shown, names))}",
                    part=part, at=("column",))
    letters = _written(columnar.words(path, chosen) if top is None else csv.words(path, top, names.index(chosen)))
    others = [place for place, name in enumerate(names) if name != chosen]

    def beside() -> Cells:
        held = (columnar.read(path, names, [], others) if top is None else csv.read(path, top, [], others))[1]
        return {names[place]: cells for place, cells in zip(others, held, strict=True)}

    return Corpus(path, letters, range(1, len(letters) + 1), "row", beside)


def _counted(names: Sequence[str], column: str | int | None) -> str | None:
    return names[column] if isinstance(column, int) and column < len(names) else None


def _written(texts: Iterable[str]) -> Letters:
    """The letters of texts that come one by one."""
    writer, waiting, size = LetterWriter(), list[str](), 0
    for text in texts:
        waiting.append(text)
        size += len(text)
        if size > CHUNK:
            writer.add(waiting)
            waiting, size = [], 0
    writer.add(waiting)
    return writer.done()
