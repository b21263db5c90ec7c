"""The importance-weighted bound (Burda et al., 2015)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

from aebuild.lang.part import knob
from aebuild.lang.terms import Bound, TermPlan

if TYPE_CHECKING:
    from torch import nn


class Iwae(Bound):
    """The logarithm of the mean importance weight of several draws (Burda et al., 2015)."""

    type: Literal["own_iwae"] = "own_iwae"
    joined = ("reconstruction", "kl")
    samples: int = knob(5, "draws of the code for each sample", affects="loss", ge=1)
    example: ClassVar[str] = """\
data: digits
encoder: [linear: 32]
latent: {type: gaussian, dim: 4}
losses: {reconstruction: bernoulli, bound: {type: own_iwae, samples: 3}}
"""

    @property
    def draws(self) -> int:
        """As the spec says."""
        return self.samples

    def check(self, terms: tuple[TermPlan, ...]) -> str | None:
        """Free bits hold averages over a batch, which no weight of a single draw knows."""
        held = any(getattr(term.config, "free_bits", 0) for term in terms)
        return super().check(terms) or ("free_bits have no meaning for single draws" if held else None)

    def build_bound(self) -> nn.Module:
        """The bound's module."""
        from torch import Tensor, nn

        class Module(nn.Module):
            def forward(self, terms: dict[str, Tensor]) -> Tensor:
                """[N, draws] each to [N]."""
                log_weights = -sum(terms.values())
                assert isinstance(log_weights, Tensor)
                return math.log(log_weights.shape[1]) - log_weights.logsumexp(1)

        return Module()
