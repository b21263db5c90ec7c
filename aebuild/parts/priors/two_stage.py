"""A second variational autoencoder over the codes of the first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Prior
from aebuild.lang.learned_prior import Shapes, layers
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.terms import Contribution
from aebuild.lang.values import Value, elements

if TYPE_CHECKING:
    from torch import nn


class TwoStage(Prior):
    """A second variational autoencoder, trained on the codes of the first (Dai and Wipf, 2019).

    It has as many latent values as the code, two hidden layers in each half and a learned variance; a draw of it is a new code. Its
    term is a bound: nats at most of surprise at a code.
    """

    type: Literal["two_stage"] = "two_stage"
    example = "latent: {type: gaussian, dim: 3, prior: {type: two_stage, width: 6}}"
    also = ("two_stage_vae", "2stage", "twostage", "second_stage")
    learning = "phase"
    width: int = knob(256, "features of the hidden layers", affects="graph", ge=1)

    def plan_prior(self, codes: Value, site: Site) -> Contribution:
        """Encoder, decoder, one variance, and what brings codes to mean 0 and deviation 1."""
        size = elements(codes)
        weights: Shapes = {"log_variance": (), **layers("encoder", size, self.width, self.width, 2 * size),
                           **layers("decoder", size, self.width, self.width, size)}
        buffers: Shapes = {"standard.mean": (size,), "standard.scale": (size,), "standard.settled": ()}
        macs = sum(shape[0] * shape[1] for shape in weights.values() if len(shape) == 2)
        return Contribution(node=Node(site.path, "two-stage prior", codes, codes, self, weights=weights, buffers=buffers, macs=macs,
                                      aside=True))

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The prior's module."""
        from aebuild.modules.prior_flow import TwoStagePrior

        return TwoStagePrior(node.output.shape, self.width)
