"""Texts as tokens: characters, bytes or subwords."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field

from aebuild.data.errors import blamed, fault
from aebuild.data.formats import columnar
from aebuild.data.probe import Outline, declared, describe, plural
from aebuild.data.split import PARTS
from aebuild.data.tokens import IDLE
from aebuild.lang.dataset import Column, DataInfo, Divided, OnDisk, Sampled, Suggestion, Where, Window
from aebuild.lang.diagnostics import Hint, Rule
from aebuild.lang.part import knob
from aebuild.lang.samples import Form
from aebuild.lang.values import Tokens, Value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aebuild.data.letters import Letters
    from aebuild.data.raw_samples import Raw
    from aebuild.data.text_files import Corpus
    from aebuild.data.vocabulary import Vocabulary

SUBWORDS = 1000       # tokens of a vocabulary of subwords where nothing is written
PIECE = 64            # characters of a piece that `aebuild init` proposes
SPECIAL = 2           # the end of a text, and what is not known
BYTES = 256 + SPECIAL
FIRST = 1 << 16       # characters of a line that are looked at
FOUND = {"samples", "unit", "length", "vocabulary", "symbols", "tokenizer"}       # what a run keeps of its reading
NAMED = (".csv", ".tsv", *columnar.ENDINGS, ".jsonl", ".ndjson")

UNFIT_TEXT = Rule("AE450", "an option that does not fit the text", """\
One long text is cut into pieces of `length` every `stride`; lines, rows of a table and records are samples as they are, so they have no
stride. `column` names a column of a table or a key of records. Bytes need no `vocabulary`, `symbols` are characters, and a `tokenizer`
makes `unit: tokens`, whose pieces and lines need a `length`.

```yaml
data: {path: notes.txt, samples: lines, stride: 5}
```
```yaml
data: {path: notes.txt, samples: lines}
```
""")


class Text(Sampled, Divided, OnDisk):
    """A text file, a column of a table, or a key of .jsonl records, as tokens: characters, bytes or subwords.

    Token 0 ends a text and pads it, token 1 stands for what the vocabulary lacks. The vocabulary is that of the training texts.
    """

    type: Literal["text"] = "text"
    example = ("data: {type: text, path: prose.txt, length: 9, stride: 7, limit: 30, vocabulary: 12}\n"
               "encoder: [gru: 4]\n"
               "decoder: [gru: 4]\n"
               "losses: {reconstruction: categorical}\n"
               "---\n"
               "data: {type: text, path: prose.txt, samples: lines, length: 12, unit: bytes, shape: [12]}\n"
               "encoder: [gru: 4]\n"
               "decoder: [gru: 4]\n"
               "losses: {reconstruction: categorical}\n"
               "---\n"
               "data: {type: text, path: quotes.csv, column: 1, limit: 20}\n"
               "encoder: [gru: 4]\n"
               "decoder: [gru: 4]\n"
               "losses: {reconstruction: categorical}")
    also = ("txt", "jsonl", "characters", "corpus", "language")
    samples: Literal["pieces", "lines"] | None = knob(
        None, "pieces of one long text, divided in blocks, or a sample a line (default: pieces; of a table a row, of .jsonl a record)",
        affects="data")
    column: Column | None = knob(
        None, "column of a table that holds the texts, by name or counted from 0, or key of .jsonl records (default: the only column of "
        "words; `text`)", affects="data")
    unit: Literal["characters", "bytes", "tokens"] = knob(
        "characters", "what a token is: a character, a byte of UTF-8, or a frequent piece of words (byte-pair encoding, trained on the "
        "training texts)", affects="data")
    length: int | None = knob(
        None, "tokens of a sample; longer lines are cut, shorter ones end early (default: as many as the longest line needs)",
        affects="data", ge=2)
    stride: int | None = knob(None, "tokens from the start of a piece to the next (default: length)", affects="data", ge=1)
    vocabulary: int | None = knob(
        None, "how many tokens there are: of characters the most frequent ones, so that the others are unknown (default: all; of subwords "
        f"{SUBWORDS:,})", affects="data", ge=3)
    symbols: Annotated[list[Annotated[str, Field(min_length=1, max_length=1)]], Field(min_length=1)] | None = knob(
        None, "the characters of the vocabulary (default: those of the training texts)", affects="data")
    tokenizer: str | None = knob(
        None, "the text of a tokenizer.json of the tokenizers library, as runs keep it, instead of a trained one", affects="data",
        min_length=1)
    unknown: Literal["token", "error"] = knob(
        "token", "what becomes of what the vocabulary lacks: a token of its own, or an error", affects="data")

    def type_of(self, shape: tuple[int, ...]) -> Value:
        """[T] tokens of the vocabulary that is written."""
        return Tokens(shape[0], self._size or 3)

    def probe(self, where: Where) -> DataInfo:
        """The text is read; subwords are not made of it."""
        self._check()
        if self.shape is not None:
            return declared(self, bounds=(0.0, (self._size or 3) - 1.0), ragged=self._lines)
        if self.unit != "tokens":
            return describe(self, self.read(where).outline)
        with blamed(self, "path"):
            corpus = self._corpus(where)
            counts: dict[str, int | None] = {"train": len(corpus.letters)} if self._lines else dict.fromkeys(PARTS)
            return describe(self, self._outline(corpus, Tokens(self._length or 2, self._size or SUBWORDS), counts))

    def read(self, where: Where) -> Raw:
        """Tokens [n, length]."""
        with blamed(self, "path"):
            self._check()
            corpus = self._corpus(where)
            return self._of_lines(corpus) if self._lines else self._of_pieces(corpus)

    def suggestion(self, where: Where) -> Suggestion:
        """A length, where one long text is cut into pieces."""
        return Suggestion() if self._lines or self.length is not None else Suggestion(
            {"length": PIECE}, {"length": f"pieces of {PIECE} characters (`samples: lines` makes a sample of each line)"})

    def fixed(self, info: DataInfo) -> Self:
        """The same with the vocabulary and the length that were found; a table's rows and records stay samples."""
        named = self.path.lower().endswith(NAMED)
        found = {name: value for name, value in info.found.items() if name in FOUND and not (named and name == "samples")}
        return self.but(**found, **({} if named else {"column": None}))

    def form(self, info: DataInfo) -> Form | None:
        """Lines of text."""
        from aebuild.data.text import Lines

        known = self.fixed(info)._known()
        return None if known is None else Lines(known)

    @property
    def _lines(self) -> bool:
        return self.samples == "lines" or (self.samples is None and self.path.lower().endswith(NAMED))

    @property
    def _length(self) -> int | None:
        return self.shape[0] if self.length is None and self.shape is not None else self.length

    @property
    def _size(self) -> int | None:
        """How many tokens there are, where no text must tell."""
        if self.unit == "tokens":
            return self.vocabulary or SUBWORDS
        if self.unit == "bytes":
            return BYTES
        return len(self.symbols) + SPECIAL if self.symbols is not None and self.vocabulary is None else self.vocabulary

    @property
    def _window(self) -> Window:
        length = self._length or 2
        return Window(length=length, stride=self.stride or length)

    def _check(self) -> None:
        """Refuses options that mean nothing beside the others."""
        if self.scale is not None:
            raise fault(IDLE, f"`scale: {self.scale}` means nothing for tokens", "remove scale", part=self, at=("scale",))
        named = self.path.lower().endswith(NAMED)
        counts = [name for name in ("validation", "test") if isinstance(held := getattr(self.split, name), int) and held]
        idle = {"stride": self._lines, "column": not named, "vocabulary": self.unit == "bytes", "symbols": self.unit != "characters",
                "tokenizer": self.unit != "tokens", "samples": named and self.samples == "pieces",
                "unknown": self.unit == "bytes" and self.unknown == "error"}
        if idle["samples"]:
            raise fault(UNFIT_TEXT, "the texts of a table or of records are samples themselves; `samples: pieces` cuts one text",
                        "remove samples", part=self, at=("samples",))
        for name, means_nothing in idle.items():
            if means_nothing and getattr(self, name) is not None:
                raise fault(UNFIT_TEXT, f"`{name}` means nothing for {self._words}", f"remove {name}", part=self, at=(name,))
        if self._length is None and not (self._lines and self.unit != "tokens"):
            raise fault(UNFIT_TEXT, f"{self._words} need a `length`", "length: 64", part=self, at=("path",))
        if self.shape is not None and (len(self.shape) != 1 or self._size is None):
            raise fault(UNFIT_TEXT, "texts are declared by `shape: [T]` and `vocabulary`, so that nothing need be read",
                        Hint("shape: [T] and vocabulary: K"), part=self, at=("shape",))
        if self.unit == "tokens" and counts and not self._lines:
            raise fault(UNFIT_TEXT, "pieces of subwords are divided before they are counted, so by shares", f"{counts[0]}: 0.1",
                        part=self.split, at=(counts[0],))
        if self.symbols is not None and (self._size or 0) < len(set(self.symbols)) + SPECIAL:
            raise fault(UNFIT_TEXT, f"`symbols` has {len(self.symbols)} characters, more than `vocabulary` has room for, or one twice",
                        "remove vocabulary" if self.vocabulary else None, part=self, at=("vocabulary", "symbols"))

    @property
    def _words(self) -> str:
        return f"{'lines' if self._lines else 'pieces'} of {'subwords' if self.unit == 'tokens' else self.unit}"

    def _corpus(self, where: Where) -> Corpus:
        from aebuild.data.text_files import read_corpus

        return read_corpus(where.base / self.path, self.column, not self._lines, self)

    def _known(self) -> Vocabulary | None:
        """The vocabulary, where the spec has it."""
        from aebuild.data.vocabulary import Alphabet, Bytes, Subwords

        if self.unit == "bytes":
            return Bytes()
        if self.tokenizer is not None:
            return Subwords(self.tokenizer, self.vocabulary)
        return None if self.symbols is None else Alphabet(self.symbols, self.vocabulary)

    def _fitted(self, texts: Letters, rows: NDArray[np.int64] | None = None) -> Vocabulary:
        """The vocabulary of the texts of these rows, or of one text."""
        from aebuild.data.vocabulary import Alphabet, Subwords

        known = self._known()
        if known is not None:
            return known
        if self.unit != "tokens":
            return Alphabet.counted(texts.counted(rows), self.vocabulary)
        read = texts.lines() if rows is None else (texts.text(row) for row in rows.tolist())
        return Subwords.trained(read, self.vocabulary or SUBWORDS)

    def _of_lines(self, corpus: Corpus) -> Raw:
        from aebuild.data.raw_samples import Raw
        from aebuild.data.text import padded, strangers, training_rows

        vocabulary = self._fitted(corpus.letters, training_rows(self, corpus, self.limit))
        pieces, lengths, cropped = padded(corpus, vocabulary, self._length)
        outline = self._outline(corpus, Tokens(pieces.length, vocabulary.size), {"train": len(pieces)}, vocabulary)
        if cropped:
            outline = outline.told(f"{corpus.name}: {plural(cropped, 'text')} longer than `length: {pieces.length}` holds are cut")
        for note in strangers(self, [pieces], self.unknown == "error"):
            outline = outline.told(note)
        return Raw(outline, {"train": pieces}, lengths={"train": lengths}, beside=partial(_beside, corpus.beside))

    def _of_pieces(self, corpus: Corpus) -> Raw:
        from aebuild.data.raw_samples import Raw
        from aebuild.data.text import cut, strangers, text_blocks

        blocks = text_blocks(self, corpus, self._window)
        vocabulary = self._fitted(blocks["train"])
        found = cut(self, corpus, blocks, vocabulary, self._window)
        outline = self._outline(corpus, Tokens(self._window.length, vocabulary.size), {name: len(held) for name, held in found.items()},
                                vocabulary)
        for note in strangers(self, found.values(), self.unknown == "error"):
            outline = outline.told(note)
        kept = {name: held for name, held in found.items() if len(held) or name == "train"}
        return Raw(outline, kept, beside=lambda name: {"token": [str(place) for place in kept[name].places]})

    def _outline(self, corpus: Corpus, value: Tokens, counts: dict[str, int | None], vocabulary: Vocabulary | None = None) -> Outline:
        letters = corpus.letters
        size = f"{plural(len(letters), 'text')}, at most" if self._lines else f"{len(letters.codes):,} characters, in pieces of"
        unit = "subwords" if self.unit == "tokens" else self.unit
        notes = list(corpus.notes)
        if not self.path.lower().endswith(NAMED) and all(_number(word) for word in letters.text(0, FIRST).split("\n")[0].split(",")):
            notes.append(f"{corpus.name}: its first line holds numbers, and is read as text; a table has the ending .csv, or `type: table`")
        known = {} if vocabulary is None else vocabulary.found()
        found = {"samples": "lines" if self._lines else "pieces", "unit": self.unit, "length": value.length, **known}
        return Outline(value, counts, f"{corpus.name}: {size} {value.length:,} {unit}, {value.classes:,} different ones",
                       (0.0, value.classes - 1.0), divided=not self._lines, ragged=self._lines, found=found, notes=tuple(notes))


def _beside(read: Callable[[], Mapping[str, Sequence[str]]], part: str) -> Mapping[str, Sequence[str]]:
    """The cells beside the texts; all are of one part."""
    return read()


def _number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
