"""Sentences of a small grammar."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from aebuild.data.errors import fault
from aebuild.data.probe import Outline, describe
from aebuild.data.sentences import LONGEST, SYMBOLS, TOKENS, sentences
from aebuild.data.tokens import IDLE
from aebuild.lang.dataset import DataInfo, Divided, Sampled, Where
from aebuild.lang.part import knob
from aebuild.lang.samples import Form
from aebuild.lang.values import Tokens

if TYPE_CHECKING:
    from aebuild.data.raw_samples import Raw

FOUND = {"samples": "lines", "unit": "characters", "symbols": list(SYMBOLS), "vocabulary": TOKENS, "length": LONGEST + 1}


class Sentences(Sampled, Divided):
    """Sentences of a small grammar, a token a character; no file needed.

    Such as `the sleepy otter greets the crow near the river.`, drawn at random but always the same ones. Token 0 ends a sentence and
    pads it.
    """

    type: Literal["sentences"] = "sentences"
    example = ("data: {type: sentences, count: 40, limit: 20}\n"
               "encoder: [gru: 4]\n"
               "decoder: [gru: 4]\n"
               "losses: {reconstruction: categorical}")
    count: int = knob(4000, "sentences in all parts together", affects="data", ge=3, le=1_000_000)

    def probe(self, where: Where) -> DataInfo:
        """Known without reading."""
        if self.scale is not None:
            raise fault(IDLE, f"`scale: {self.scale}` means nothing for tokens", "remove scale", part=self, at=("scale",))
        return describe(self, self._outline())

    def read(self, where: Where) -> Raw:
        """Tokens [n, length]."""
        from aebuild.data.letters import Letters
        from aebuild.data.raw_samples import Raw
        from aebuild.data.text import padded
        from aebuild.data.text_files import Corpus
        from aebuild.data.vocabulary import Alphabet

        corpus = Corpus(Path("sentences"), Letters.of(sentences(self.count)), range(self.count), "sentence")
        pieces, lengths, _ = padded(corpus, Alphabet(SYMBOLS), LONGEST + 1)
        return Raw(self._outline(), {"train": pieces}, lengths={"train": lengths})

    def form(self, info: DataInfo) -> Form:
        """Lines of text."""
        from aebuild.data.text import Lines
        from aebuild.data.vocabulary import Alphabet

        return Lines(Alphabet(SYMBOLS))

    def _outline(self) -> Outline:
        return Outline(Tokens(LONGEST + 1, TOKENS), {"train": self.count},
                       f"sentences: {self.count:,} sentences of a small grammar, at most {LONGEST} letters, no file needed",
                       (0.0, TOKENS - 1.0), ragged=True, found=FOUND)
