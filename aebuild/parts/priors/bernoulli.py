"""Independent bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Prior
from aebuild.lang.node import Node
from aebuild.lang.part import knob

if TYPE_CHECKING:
    from torch import nn


class Bernoulli(Prior):
    """Bits that are one with the same probability, independently."""

    type: Literal["bernoulli"] = "bernoulli"
    example = "latent: {type: bernoulli, dim: 4, prior: {type: bernoulli, rate: 0.2}}"
    serves = ("bits",)
    rate: float = knob(0.5, "probability of a one; a small one makes sparse codes", affects="training", gt=0, lt=1)

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The prior's module."""
        from aebuild.modules.relaxed import BernoulliPrior

        return BernoulliPrior(node.output.shape, self.rate)
