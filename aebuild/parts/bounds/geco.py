"""A constraint on the reconstruction in place of a weight."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.part import knob
from aebuild.lang.terms import Bound

if TYPE_CHECKING:
    from torch import nn


class Geco(Bound):
    """All other terms as small as can be while the reconstruction term is no larger than a target (GECO, Rezende and Viola, 2018).

    The reconstruction is weighed by a Lagrange multiplier, which grows after each batch while the mean term is above the target, and
    falls while it is below. `target` is in the term's unit, of one sample, as it is logged. The multiplier is part of checkpoints;
    validation judges by all terms with weight 1.
    """

    type: Literal["geco"] = "geco"
    example = ("latent: {type: gaussian, dim: 2}\n"
               "losses: {bound: {type: geco, target: 3, rate: 0.5, decay: 0.6}}\n"
               "train: {steps: 4, batch_size: 10, keep: last}")
    also = ("constrained", "lagrangian", "constraint")
    joined = ("reconstruction",)
    meanings = {"multiplier": "weight of the reconstruction, by which it is held to its target; it settles where the target is met"}
    target: float = knob(..., "what the reconstruction term of a sample shall be on average", examples=[20], affects="loss", gt=0)
    rate: float = knob(0.01, "how fast the multiplier moves: its logarithm by so much a batch where the term is twice the target",
                       affects="training", gt=0)
    decay: float = knob(0.99, "share of the moving average of the term that stays at each batch", affects="training", ge=0, lt=1)

    def build_bound(self) -> nn.Module:
        """The bound's module."""
        from aebuild.modules.constraint import Constraint

        return Constraint(self.target, self.rate, self.decay)
