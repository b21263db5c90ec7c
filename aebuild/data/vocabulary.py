"""From text to tokens and back: an alphabet of characters, or subwords of a trained tokenizer."""

from __future__ import annotations

import importlib
import json
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from aebuild.data.errors import fault, reason_of, shown
from aebuild.data.rules import EXTRA
from aebuild.lang.diagnostics import Hint, Rule

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aebuild.data.letters import Letters

END, UNKNOWN = 0, 1       # the end of a text, which padding repeats, and what the vocabulary lacks
SPECIAL = 2               # how many tokens these are
SPECIAL_NAMES = ("<end>", "<unknown>")
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

NO_TOKENIZER = Rule("AE453", "a tokenizer that cannot be used", """\
`tokenizer` holds the text of a `tokenizer.json` of the tokenizers library, as a run's `data.json` keeps it. Its tokens 0 and 1 are `<end>`
and `<unknown>`, which end a text and stand for what it does not know; aebuild trains one of that kind where none is given.

```yaml
data: {path: notes.txt, unit: tokens, length: 64, tokenizer: bert}
```
```yaml
data: {path: notes.txt, unit: tokens, length: 64}
```
""")


class Vocabulary(Protocol):
    """What the tokens of a text mean; 0 ends it, 1 is what is not known.

    `size` is how many there are, `letters` how many a token has at most or so. `cuts` says that a text which is cut in front of a blank
    has the tokens that it has whole.
    """

    size: int
    letters: int
    cuts: bool

    def encode(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The tokens of all texts one after the other, and how many each has."""

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens, up to the first end."""
        ...

    def found(self) -> dict[str, Any]:
        """Itself, as fields of the dataset part."""


def encoded(texts: Letters, vocabulary: Vocabulary) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The tokens of all texts one after the other, in the smallest type that has room for the vocabulary, and how many each has."""
    import numpy as np

    smallest = np.min_scalar_type(vocabulary.size - 1)
    held, counts = bytearray(), array("q")
    for batch, goes_on in texts.batches(cut=vocabulary.cuts):
        tokens, sizes = vocabulary.encode(batch)
        held += tokens.astype(smallest).tobytes()
        if goes_on:
            counts[-1] += int(sizes[0])
        counts.frombytes(sizes[int(goes_on):].astype(np.int64).tobytes())
    return np.frombuffer(held, smallest), np.frombuffer(counts, np.int64)


class Alphabet:
    """A token a character, in the order of `symbols`."""

    letters = 1
    cuts = True

    def __init__(self, symbols: Sequence[str], size: int | None = None) -> None:
        self.symbols = tuple(symbols)
        self.size = size or SPECIAL + len(self.symbols)

    @classmethod
    def of(cls, texts: Iterable[str], size: int | None = None) -> Alphabet:
        """The characters of the texts in their order; of so many tokens in all, the most frequent ones."""
        counted: Counter[str] = Counter()
        for text in texts:
            counted.update(text)
        return cls.counted(counted, size)

    @classmethod
    def counted(cls, counted: Mapping[str, int], size: int | None = None) -> Alphabet:
        """The same of characters that occur so often."""
        kept = sorted(counted, key=lambda symbol: (-counted[symbol], symbol))[:None if size is None else size - SPECIAL]
        return cls(sorted(kept), size)

    def encode(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """A token a character."""
        import numpy as np

        points = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
        known = np.asarray([ord(symbol) for symbol in self.symbols], np.uint32)
        order = np.argsort(known)
        place = np.minimum(np.searchsorted(known[order], points), max(0, len(known) - 1))
        tokens = np.full(len(points), UNKNOWN, np.int64)
        if len(known):
            hit = known[order][place] == points
            tokens[hit] = order[place[hit]] + SPECIAL
        return tokens, np.asarray([len(text) for text in texts], np.int64)

    def decode(self, tokens: Sequence[int]) -> str:
        """A character a token; what was not known becomes the replacement character."""
        return "".join(self.symbols[token - SPECIAL] if SPECIAL <= token < SPECIAL + len(self.symbols) else REPLACEMENT
                       for token in until_end(tokens))

    def found(self) -> dict[str, Any]:
        """The characters."""
        return {"symbols": list(self.symbols), "vocabulary": self.size}


class Bytes(Alphabet):
    """A token a byte of the UTF-8 text."""

    def __init__(self) -> None:
        super().__init__([chr(byte) for byte in range(256)])

    def encode(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """A token a byte."""
        return super().encode([text.encode().decode("latin-1") for text in texts])

    def decode(self, tokens: Sequence[int]) -> str:
        """Text; bytes that are none become the replacement character."""
        return bytes(token - SPECIAL if token >= SPECIAL else ord("?") for token in until_end(tokens)).decode(errors="replace")

    def found(self) -> dict[str, Any]:
        """Nothing: all bytes are known beforehand."""
        return {}


class Subwords:
    """Tokens of a byte-pair encoding (Sennrich et al., 2016), by the tokenizers library; `text` is its tokenizer.json."""

    letters = 3

    def __init__(self, text: str, size: int | None = None) -> None:
        self.text = text
        try:
            self._made = _library().Tokenizer.from_str(text)
        except Exception as error:                    # the library raises nothing narrower
            raise fault(NO_TOKENIZER, f"`tokenizer` is no tokenizer.json: {reason_of(error)}", Hint("remove tokenizer")) from error
        if tuple(self._made.id_to_token(place) for place in (END, UNKNOWN)) != SPECIAL_NAMES:
            raise fault(NO_TOKENIZER, f"the tokenizer begins with the tokens {shown(self._made.id_to_token(0))} and "
                        f"{shown(self._made.id_to_token(1))}, not with {' and '.join(SPECIAL_NAMES)}", Hint("remove tokenizer"))
        self.size = size or int(self._made.get_vocab_size())
        self.cuts = _by_words(text)

    @classmethod
    def trained(cls, texts: Iterable[str], size: int) -> Subwords:
        """At most so many tokens, trained on the texts, which are taken one by one: their bytes, then the pairs that occur most."""
        library, models = _library(), importlib.import_module("tokenizers.models")
        byte_level = importlib.import_module("tokenizers.pre_tokenizers").ByteLevel
        made = library.Tokenizer(models.BPE(unk_token=SPECIAL_NAMES[UNKNOWN]))
        made.pre_tokenizer = byte_level(add_prefix_space=False)
        made.decoder = importlib.import_module("tokenizers.decoders").ByteLevel()
        trainer = importlib.import_module("tokenizers.trainers").BpeTrainer(
            vocab_size=size, special_tokens=list(SPECIAL_NAMES), limit_alphabet=size - SPECIAL, show_progress=False)
        made.train_from_iterator(texts, trainer)
        return cls(made.to_str(), size=size)

    def encode(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """A token a frequent piece of a word."""
        import numpy as np

        found = [encoded.ids for encoded in self._made.encode_batch(list(texts), add_special_tokens=False)]
        return (np.asarray([token for ids in found for token in ids], np.int64), np.asarray([len(ids) for ids in found], np.int64))

    def decode(self, tokens: Sequence[int]) -> str:
        """Text; what was not known, and numbers that no token has, become the replacement character."""
        pieces: list[list[int]] = [[]]
        for token in until_end(tokens):
            if token >= SPECIAL and token < self._known:
                pieces[-1].append(token)
            else:
                pieces.append([])
        return REPLACEMENT.join(self._made.decode(piece, skip_special_tokens=False) for piece in pieces)

    @cached_property
    def _known(self) -> int:
        return int(self._made.get_vocab_size())

    def found(self) -> dict[str, Any]:
        """The tokenizer.json, and how many tokens the model knows."""
        return {"tokenizer": self.text, "vocabulary": self.size}


def _by_words(text: str) -> bool:
    """Whether a tokenizer.json takes a text apart at its blanks first, and does nothing else to it, as those do that are trained here."""
    told = json.loads(text)
    first = told.get("pre_tokenizer") or {}
    plain = not told.get("normalizer") and not told.get("post_processor") and not told.get("truncation") and not told.get("padding")
    return plain and first.get("type") == "ByteLevel" and not first.get("add_prefix_space", True) and bool(first.get("use_regex", True))


def until_end(tokens: Sequence[int]) -> list[int]:
    """The tokens before the first end."""
    whole = list(tokens)
    return whole[:whole.index(END)] if END in whole else whole


def _library() -> Any:
    try:
        return importlib.import_module("tokenizers")
    except ImportError as error:
        raise fault(EXTRA, "`unit: tokens` needs the package tokenizers, which is not installed",
                    Hint('pip install "aebuild[text]"')) from error
