"""Codebooks that follow their vectors by running averages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.codebook_update import CodebookUpdate
from aebuild.lang.part import knob

if TYPE_CHECKING:
    from aebuild.modules.codebook_updates import Ema as EmaModule


class Ema(CodebookUpdate):
    """Entries are running averages of their vectors; no `codebook` term (van den Oord et al., 2017, appendix A.1)."""

    type: Literal["ema"] = "ema"
    example = ("encoder: {layer: conv, width: 4, stride: 2}\n"
               "latent: {type: codebook, codes: 4, dim: 4, update: {type: ema, decay: 0.8, epsilon: 0.01}, init: normal}\n"
               "train: {steps: 9, batch_size: 10}")
    decay: float = knob(0.99, "share of the average that stays in each step; 0 makes a step one of Lloyd's", affects="training",
                        ge=0, lt=1)
    epsilon: float = knob(1e-5, "added to each entry's count, so that rare entries cannot divide by nothing", affects="training",
                          gt=0)

    def build_update(self, books: int, codes: int, features: int) -> EmaModule:
        """The running counts and sums."""
        from aebuild.modules.codebook_updates import Ema as EmaModule

        return EmaModule(books, codes, features, self.decay, self.epsilon)
