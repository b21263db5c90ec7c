"""Weights that balance the gradients of the terms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.part import knob
from aebuild.lang.terms import Bound

if TYPE_CHECKING:
    from torch import nn


class GradNorm(Bound):
    """Terms weighed so that none drowns the others' gradients (GradNorm, Chen et al., 2018).

    Gradients are compared at the encoder's output, which all terms share. A written weight is a share: a term with `weight: 2` has twice
    the gradient of one with 1, whatever their scales are. With `alpha` terms that learn slowly, compared with what they were in the first
    batch, count more; it wants terms that are positive. The weights follow the averaged gradients at once, where the paper takes small
    steps towards them; they are logged, as what a written 1 becomes, and are part of checkpoints. `loss` and validation go by the written
    ones. While the encoder does not learn the weights stay.
    """

    type: Literal["grad_norm"] = "grad_norm"
    example = ("latent: {type: gaussian, dim: 2}\n"
               "losses: {kl: 0.5, bound: {type: grad_norm, alpha: 0.5, decay: 0.6}}\n"
               "train: {steps: 4, batch_size: 10}")
    also = ("gradnorm", "gradient_norm", "gradient_balance", "gradient_balanced", "balanced", "gradient_normalization")
    balances = True
    alpha: float = knob(0.0, "how much more slow terms count: 0, all gradients alike; 0.12 to 1.5 in the paper", affects="training", ge=0)
    decay: float = knob(0.9, "share of the moving averages of gradients and terms that stays at each batch", affects="training", ge=0, lt=1)

    def build_balance(self, terms: tuple[str, ...]) -> nn.Module:
        """The module that weighs the terms."""
        from aebuild.modules.gradient_balance import GradientBalance

        return GradientBalance(terms, self.alpha, self.decay)
