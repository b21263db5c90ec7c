"""The importance-weighted bound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.importance import ImportanceBound
from aebuild.lang.part import knob

if TYPE_CHECKING:
    from torch import nn


class Iwae(ImportanceBound):
    """The logarithm of the mean importance weight of several draws (Burda et al., 2016).

    `repeats` such bounds are averaged: MIWAE; a share `elbo` of the ordinary bound beside it: CIWAE (Rainforth et al., 2018).
    """

    type: Literal["iwae"] = "iwae"
    example = ("latent: {type: gaussian, dim: 3}\n"
               "losses: {reconstruction: bernoulli, bound: {type: iwae, samples: 3, repeats: 2, elbo: 0.25}}")
    also = ("importance_weighted", "miwae", "ciwae", "iw_elbo", "iwelbo")
    elbo: float = knob(0.0, "share of the ordinary evidence bound in the loss", affects="loss", ge=0, lt=1)

    def build_bound(self) -> nn.Module:
        """The bound's module."""
        from aebuild.modules.importance import ImportanceWeighted

        return ImportanceWeighted(self.samples, self.repeats, self.elbo)
