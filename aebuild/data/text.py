"""Texts as samples of tokens: divided, cut, padded, and written again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aebuild.data.errors import fault
from aebuild.data.letters import Letters
from aebuild.data.split import PARTS, block_sizes, rows_of, unwanted, windows_in
from aebuild.data.text_files import Corpus
from aebuild.data.vocabulary import UNKNOWN, Vocabulary, encoded
from aebuild.lang.dataset import Dataset, Window
from aebuild.lang.diagnostics import Hint, Rule
from aebuild.lang.samples import Form

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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


def training_rows(part: Dataset, corpus: Corpus, limit: int | None) -> NDArray[np.int64]:
    """Which texts train, of which the vocabulary is made."""
    return rows_of(part, {"train": len(corpus.letters)})["train"][1][:limit]


def text_blocks(part: Dataset, corpus: Corpus, window: Window) -> dict[str, Letters]:
    """The one text of a corpus divided in blocks."""
    begun, found = 0, {}
    whole = len(corpus.letters.codes)
    for name, size in block_sizes(part, whole, window).items():
        end = min(whole, begun + max(0, size))
        found[name] = corpus.letters.part(begun, end)
        begun = end
    return found


@dataclass
class Pieces:
    """Samples [length] of tokens, cut out of all `tokens`, of the smallest type, where they start, and 0 behind their `counts`."""

    tokens: NDArray[Any]
    starts: NDArray[np.int64]
    counts: NDArray[np.int64]
    length: int
    file: str
    word: str
    places: Sequence[int] | NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts)

    def take(self, index: NDArray[np.int64]) -> NDArray[Any]:
        """Tokens [n, length]."""
        import numpy as np

        steps = np.arange(self.length)
        found = np.take(self.tokens, self.starts[index, None] + steps, mode="clip")
        return np.where(steps < self.counts[index, None], found, 0).astype(np.int64)

    def name(self, row: int) -> str:
        """File and line, row or character."""
        return f"{self.file}, {self.word} {self.places[row]}"


def padded(corpus: Corpus, vocabulary: Vocabulary, length: int | None) -> tuple[Pieces, NDArray[np.int64], int]:
    """Each text as a sample that ends in the token 0; their lengths, and how many texts were cut."""
    import numpy as np

    tokens, counts = encoded(corpus.letters, vocabulary)
    starts = np.cumsum(counts) - counts
    most = int(counts.max()) + 1 if length is None else length
    kept = np.minimum(counts, most - 1)
    tokens = tokens if len(tokens) else np.zeros(1, np.uint8)
    return Pieces(tokens, starts, kept, most, corpus.name, corpus.word, corpus.places), kept + 1, int((counts >= most).sum())


def cut(part: Dataset, corpus: Corpus, blocks: Mapping[str, Letters], vocabulary: Vocabulary, window: Window) -> dict[str, Pieces]:
    """Each block in pieces."""
    import numpy as np

    found = {}
    for name in PARTS:
        tokens, _ = encoded(blocks[name], vocabulary)
        count = windows_in(len(tokens), window)
        if count < 1 and not unwanted(part, name):
            raise fault(TOO_SHORT, f"{corpus.name}: the {name} block has {len(tokens):,} of the text's tokens, too few for a piece of "
                        f"{window.length:,}", Hint("a shorter `length`, or larger shares under split"), part=part, at=("length", "path"))
        starts = np.arange(count, dtype=np.int64) * window.stride
        found[name] = Pieces(tokens if len(tokens) else np.zeros(1, np.uint8), starts, np.full(count, window.length), window.length,
                             corpus.name, f"{name} piece from token", starts)
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
