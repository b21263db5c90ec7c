"""Masking of tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self

from pydantic import PrivateAttr, model_validator

from aebuild.lang.families import Corruption, Layer
from aebuild.lang.node import Site
from aebuild.lang.part import knob
from aebuild.lang.values import Tokens, Value

if TYPE_CHECKING:
    from torch import nn


class TokenMask(Corruption):
    """Chooses tokens at random and mostly hides them behind a symbol of their own (Devlin et al., 2018: BERT).

    The encoder sees one symbol more than the vocabulary has. Of the chosen tokens some become another token and some stay, so that the
    model cannot trust any; `on: masked` has the loss count all chosen ones, and them alone. Padding is never chosen.
    """

    type: Literal["token_mask"] = "token_mask"
    example = ("data: {type: arrays, path: text.npy, as: tokens, vocabulary: 9, limit: 30}\n"
               "corrupt: [token_mask: {ratio: 0.4, mask: 0.5, random: 0.25}]\n"
               "encoder: [gru: 4]\n"
               "decoder: [gru: 4]\n"
               "losses: {reconstruction: {type: categorical, on: masked}}")
    also = ("mlm", "masked_language_model", "bert", "word_dropout", "masked_tokens")
    foreign = {"mlm_probability": "ratio"}
    writes_context = ("masked",)
    takes = ("tokens",)
    ratio: float = knob(0.15, "probability that a token is chosen", affects="data", gt=0, lt=1)
    mask: float = knob(0.8, "share of the chosen tokens that become the symbol of the mask", affects="data", ge=0, le=1)
    random: float = knob(0.1, "share of the chosen tokens that become any token of the vocabulary; what is left of 1 stays as it is",
                         affects="data", ge=0, le=1)

    _classes: int = PrivateAttr(0)

    @model_validator(mode="after")
    def _shares(self) -> Self:
        if self.mask + self.random > 1:
            raise ValueError(f"`mask` and `random` are shares of the same tokens: 1 at most together, not {self.mask + self.random:g}")
        return self

    def facing(self, value: Value, encoder: tuple[Layer, ...], site: Site) -> Self:
        """The same with the vocabulary's size."""
        assert isinstance(value, Tokens)
        placed = self.but()
        placed._classes = value.classes
        return placed

    def plan_corruption(self, value: Value, site: Site) -> Value:
        """Tokens of which there is one more."""
        assert isinstance(value, Tokens)
        return Tokens(value.length, value.classes + 1, value.layout)

    @property
    def share(self) -> float:
        """The ratio."""
        return self.ratio

    def build_corruption(self) -> nn.Module:
        """The corruption's module."""
        from aebuild.modules.masks import TokenMask as Module

        return Module(self.ratio, self._classes, self.mask, self.random)
