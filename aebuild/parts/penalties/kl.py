"""Sparsity as a rate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.node import Node
from aebuild.lang.part import knob
from aebuild.lang.terms import ModelTypes, Penalty

if TYPE_CHECKING:
    from torch import nn


class Kl(Penalty):
    """KL of a target rate to the mean activation of each unit of the code over the batch (Ng, 2011)."""

    type: Literal["kl"] = "kl"
    example = ("latent: {type: continuous, dim: 4, activation: sigmoid}\n"
               "losses: {sparsity: {type: kl, target: 0.2, weight: 0.5}}")
    across = True
    key = "sparsity"
    unit = "nats between wanted and mean activation"
    target: float = knob(0.05, "mean activation that each unit shall have", affects="loss", gt=0, lt=1)

    def check(self, types: ModelTypes) -> str | None:
        """The code must lie in (0, 1)."""
        activation = getattr(types.latent, "activation", None)
        softmax = getattr(getattr(types.latent, "prior", None), "simplex", False)
        if softmax or (activation is not None and activation.variant_name() == "sigmoid"):
            return None
        return "a rate is the mean of a code in (0, 1), which a continuous latent has with `activation: sigmoid`"

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The penalty's module."""
        from aebuild.modules.penalties import SparsityKl

        return SparsityKl(self.target)
