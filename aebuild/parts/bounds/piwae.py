"""The partially importance-weighted bound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.importance import ImportanceBound
from aebuild.lang.part import knob

if TYPE_CHECKING:
    from torch import nn


class Piwae(ImportanceBound):
    """Two bounds of the same draws: the decoder learns by all together, all else by the mean over `repeats` (Rainforth et al., 2018).

    More draws in one bound make it tighter, which serves the decoder, but leave the encoder's gradient to noise. The decoder is decoder and
    likelihood; it runs a second time. The figure `bound` is the tighter one. A prior that is trained with the model follows the encoder's.
    """

    type: Literal["piwae"] = "piwae"
    example = ("latent: {type: gaussian, dim: 3}\n"
               "losses: {reconstruction: bernoulli, bound: {type: piwae, samples: 3, repeats: 2}}")
    also = ("partially_importance_weighted",)
    beside = ("decoding",)
    repeats: int = knob(5, "bounds that are averaged for the encoder; for the decoder all draws are in one", affects="loss", ge=2)

    @property
    def decodings(self) -> int:
        """All draws twice."""
        return 2 * self.draws

    def build_bound(self) -> nn.Module:
        """The bound's module."""
        from aebuild.modules.importance import PartiallyWeighted

        return PartiallyWeighted(self.samples, self.repeats)
