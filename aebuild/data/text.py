"""Texts as samples of tokens: read from a file, divided, cut, padded."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aebuild.data.errors import fault, must_fit, reading, regular_file, shown
from aebuild.data.formats import columnar, csv
from aebuild.data.probe import plural
from aebuild.data.rules import DAMAGED, NO_SUCH_NAME, TOO_FEW
from aebuild.data.split import PARTS, block_sizes, rows_of, unwanted, windows_in
from aebuild.data.vocabulary import UNKNOWN, Vocabulary
from aebuild.lang.dataset import Dataset, Window
from aebuild.lang.diagnostics import Hint, Rule
from aebuild.lang.regular_files import open_regular
from aebuild.lang.samples import Form

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RECORDS = (".jsonl", ".ndjson")
TABLES = (".csv", ".tsv", *columnar.ENDINGS)

TOO_SHORT = Rule("AE451", "a text too short for its pieces", """\
A text is divided in blocks, the first for training, the next for validation, the last for test, and each block is cut into pieces of
`length` characters, bytes or tokens. Each block must hold at least one piece.

```yaml
data: {path: letter.txt, length: 500}          # 2,000 characters: the last tenth has 200
```
```yaml
data: {path: letter.txt, length: 100}
```
""")

STRANGER = Rule("AE452", "a character that the training texts do not have", """\
The vocabulary is that of the training texts. What others have beyond it becomes one token, `unknown`; with `unknown: error` it is refused.

```yaml
data: {path: notes.txt, length: 64, unknown: error}        # and the last page has an ω
```
```yaml
data: {path: notes.txt, length: 64}
```
""")


@dataclass(frozen=True)
class Corpus:
    """Texts as they stand in a file: one a sample, or a single one to be cut into pieces.

    `beside` are the other columns as cells; `places` say where each text stands, in `word`s.
    """

    path: Path
    texts: Sequence[str]
    places: Sequence[int]
    word: str
    beside: Mapping[str, Sequence[str]] = field(default_factory=dict)
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
    text = _text(path)
    if ending in RECORDS:
        return _of_records(path, text, "text" if column is None else str(column), part)
    if whole:
        return Corpus(path, [text], [1], "character")
    held = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not held:
        raise fault(TOO_FEW, f"{shown(path)} holds no line of text")
    numbers, lines = zip(*held, strict=True)
    return Corpus(path, lines, numbers, "line", {"line": list(map(str, numbers))})


def _text(path: Path) -> str:
    """All of a UTF-8 file, with the ends of lines of Unix."""
    must_fit(12 * regular_file(path), shown(path))
    with reading(path), open_regular(path) as file:
        data = file.read()
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise fault(DAMAGED, f"{shown(path)} is not UTF-8 text (byte {error.start:,} is {data[error.start]:#04x})",
                    Hint("save it as UTF-8")) from error


def _of_records(path: Path, text: str, key: str, part: Dataset) -> Corpus:
    rows: list[dict[str, Any]] = []
    places = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise fault(DAMAGED, f"{shown(path)}, line {number} is not JSON: {shown(error)}") from error
        if not isinstance(row, dict) or not isinstance(row.get(key), str):
            names = ", ".join(map(shown, row)) if isinstance(row, dict) else "no keys at all"
            raise fault(NO_SUCH_NAME, f"{shown(path)}, line {number} has no text under {shown(key)}; it has {names}", part=part,
                        at=("column", "path"))
        rows.append(row)
        places.append(number)
    if not rows:
        raise fault(TOO_FEW, f"{shown(path)} holds no record")
    others = [name for name in rows[0] if name != key and all(isinstance(row.get(name), str | int | float | bool) for row in rows)]
    return Corpus(path, [row[key] for row in rows], places, "line", {name: [str(row[name]) for row in rows] for name in others})


def _of_table(path: Path, column: str | int | None, part: Dataset) -> Corpus:
    """A column of words; the only one where none is named."""
    if path.suffix.lower() in columnar.ENDINGS:
        numeric, _ = columnar.head(path)
        names: Sequence[str] = tuple(numeric)
        wordy = [name for name, numbers in numeric.items() if not numbers]
        words = columnar.read(path, names, [], range(len(names)))[1]
    else:
        top = csv.head(path)
        names, wordy = top.names, [name for name, numbers in zip(top.names, top.numeric, strict=True) if not numbers]
        words = csv.read(path, top, [], range(len(names)))[1]
    if column is None and len(wordy) != 1:
        raise fault(NO_SUCH_NAME, f"{shown(path.name)} has {plural(len(wordy), 'column')} of words, and nothing says which one is the "
                    f"text; its columns are {', '.join(map(shown, names))}", Hint("column: NAME"), part=part, at=("column", "path"))
    chosen = wordy[0] if column is None else str(column) if str(column) in names else _counted(names, column)
    if chosen is None:
        raise fault(NO_SUCH_NAME, f"{shown(path.name)} has no column {shown(column)}; its columns are {', '.join(map(shown, names))}",
                    part=part, at=("column",))
    texts = words[names.index(chosen)]
    beside = {name: held for name, held in zip(names, words, strict=True) if name != chosen}
    return Corpus(path, texts, range(1, len(texts) + 1), "row", beside)


def _counted(names: Sequence[str], column: str | int | None) -> str | None:
    return names[column] if isinstance(column, int) and column < len(names) else None


def training_texts(part: Dataset, corpus: Corpus, limit: int | None) -> list[str]:
    """The texts that train, of which the vocabulary is made."""
    return [corpus.texts[row] for row in rows_of(part, {"train": len(corpus.texts)})["train"][1][:limit]]


def text_blocks(part: Dataset, corpus: Corpus, window: Window) -> dict[str, str]:
    """The one text of a corpus divided in blocks."""
    begun, found = 0, {}
    for name, size in block_sizes(part, len(corpus.texts[0]), window).items():
        found[name] = corpus.texts[0][begun:begun + max(0, size)]
        begun += max(0, size)
    return found


@dataclass
class Pieces:
    """Samples [length] of tokens, cut out of all tokens where they start and 0 behind their `counts`."""

    tokens: NDArray[np.int64]
    starts: NDArray[np.int64]
    counts: NDArray[np.int64]
    length: int
    file: str
    word: str
    places: Sequence[int]

    def __len__(self) -> int:
        return len(self.starts)

    def take(self, index: NDArray[np.int64]) -> NDArray[Any]:
        """Tokens [n, length]."""
        import numpy as np

        steps = np.arange(self.length)
        found = np.take(self.tokens, self.starts[index, None] + steps, mode="clip")
        return np.where(steps < self.counts[index, None], found, 0)

    def name(self, row: int) -> str:
        """File and line, row or character."""
        return f"{self.file}, {self.word} {self.places[row]}"


def padded(corpus: Corpus, vocabulary: Vocabulary, length: int | None) -> tuple[Pieces, NDArray[np.int64], int]:
    """Each text as a sample that ends in the token 0; their lengths, and how many texts were cut."""
    import numpy as np

    tokens, counts = vocabulary.encode(corpus.texts)
    starts = np.cumsum(counts) - counts
    most = int(counts.max()) + 1 if length is None else length
    kept = np.minimum(counts, most - 1)
    tokens = tokens if len(tokens) else np.zeros(1, np.int64)
    return Pieces(tokens, starts, kept, most, corpus.name, corpus.word, corpus.places), kept + 1, int((counts >= most).sum())


def cut(part: Dataset, corpus: Corpus, blocks: Mapping[str, str], vocabulary: Vocabulary, window: Window) -> dict[str, Pieces]:
    """Each block in pieces."""
    import numpy as np

    found = {}
    for name in PARTS:
        tokens, _ = vocabulary.encode([blocks[name]])
        count = windows_in(len(tokens), window)
        if count < 1 and not unwanted(part, name):
            raise fault(TOO_SHORT, f"{corpus.name}: the {name} block has {len(tokens):,} of the text's tokens, too few for a piece of "
                        f"{window.length:,}", Hint("a shorter `length`, or larger shares under split"), part=part, at=("length", "path"))
        starts = np.arange(count, dtype=np.int64) * window.stride
        found[name] = Pieces(tokens if len(tokens) else np.zeros(1, np.int64), starts, np.full(count, window.length), window.length,
                             corpus.name, f"{name} piece from token", starts.tolist())
    return found


def strangers(part: Dataset, samples: Iterable[Pieces], refused: bool) -> tuple[str, ...]:
    """What is said of tokens that the vocabulary lacks; refuses them where the spec asks for it."""
    import numpy as np

    unknown = total = 0
    for pieces in samples:
        for row in range(0, len(pieces), 1024):
            held = pieces.take(np.arange(row, min(row + 1024, len(pieces))))
            strange = (held == UNKNOWN).any(1)
            if refused and strange.any():
                raise fault(STRANGER, f"{pieces.name(row + int(strange.argmax()))} has characters that are not in the vocabulary",
                            "unknown: token", part=part, at=("unknown",))
            unknown += int((held == UNKNOWN).sum())
            total += int(np.minimum(pieces.counts[row:row + 1024], pieces.length).sum())
    return (f"{unknown:,} of {total:,} tokens are of no known symbol and become the token {UNKNOWN}",) if unknown else ()


class Lines(Form):
    r"""A text file with a sample a line; ends of lines inside of a sample are written as \n."""

    suffix = ".txt"

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary, self.letters = vocabulary, vocabulary.letters

    def spelled(self, sample: NDArray[Any]) -> str:
        """The text of a sample."""
        return self.vocabulary.decode(sample.tolist())

    def write(self, place: Path, batches: Iterable[NDArray[Any]], beside: Mapping[str, Sequence[str]]) -> None:
        """Tokens [n, T] as lines."""
        with place.open("w", encoding="utf-8", newline="\n") as file:
            for batch in batches:
                file.writelines(one_line(self.spelled(sample)) + "\n" for sample in batch)


def one_line(text: str) -> str:
    """A text without ends of lines."""
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
