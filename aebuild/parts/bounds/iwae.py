"""The importance-weighted bound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.part import knob
from aebuild.lang.terms import Bound, TermPlan

if TYPE_CHECKING:
    from torch import nn


class Iwae(Bound):
    """The logarithm of the mean importance weight of several draws (Burda et al., 2016).

    `repeats` such bounds are averaged: MIWAE; a share `elbo` of the ordinary bound beside it: CIWAE (Rainforth et al., 2018).
    """

    type: Literal["iwae"] = "iwae"
    example = ("latent: {type: gaussian, dim: 3}\n"
               "losses: {reconstruction: bernoulli, bound: {type: iwae, samples: 3, repeats: 2, elbo: 0.25}}")
    also = ("importance_weighted", "miwae", "ciwae", "iw_elbo", "iwelbo")
    joined = ("reconstruction", "kl")
    samples: int = knob(5, "draws of the code for each sample and bound", affects="loss", ge=2)
    repeats: int = knob(1, "bounds that are averaged", affects="loss", ge=1)
    elbo: float = knob(0.0, "share of the ordinary evidence bound in the loss", affects="loss", ge=0, lt=1)

    @property
    def draws(self) -> int:
        """Of all bounds together."""
        return self.samples * self.repeats

    def check(self, terms: tuple[TermPlan, ...]) -> str | None:
        """What holds the KL at a number of nats has no meaning for the weight of a single draw."""
        for option in ("free_bits", "capacity"):
            if any(getattr(term.config, option, None) for term in terms):
                return f"{option} has no meaning for single draws"
        return super().check(terms)

    def build_bound(self) -> nn.Module:
        """The bound's module."""
        from aebuild.modules.importance import ImportanceWeighted

        return ImportanceWeighted(self.samples, self.repeats, self.elbo)
