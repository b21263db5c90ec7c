"""A Gaussian posterior beside its prior."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Posterior
from aebuild.lang.node import Node

if TYPE_CHECKING:
    from torch import nn


class Relative(Posterior):
    """A Gaussian for each value of the code, told as what it differs by from the sample's own prior (NVAE, Vahdat and Kautz, 2020).

    Beside the prior N(μ, σ²), which must be `conditional`, the posterior is N(μ + Δμ, (σ·Δσ)²) with Δμ and log Δσ² from the encoder, so
    that the KL is ½(Δμ²/σ² + Δσ² − log Δσ² − 1): where the encoder says nothing, code and prior move together.
    """

    type: Literal["relative"] = "relative"
    example = ("encoder: [linear: 6, linear: 5]\n"
               "latent: [gaussian: {dim: 2}, gaussian: {dim: 3, prior: conditional, posterior: relative, from: encoder.0}]")
    also = ("residual_normal", "residual", "nvae")
    beside_prior = True

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The posterior's module."""
        from aebuild.modules.posteriors import Relative as RelativeModule

        return RelativeModule(node.output.feature_axis)
