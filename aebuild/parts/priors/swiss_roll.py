"""A spiral in the plane."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Prior
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.planar_priors import require_plane
from aebuild.lang.terms import Contribution
from aebuild.lang.values import Value

if TYPE_CHECKING:
    from torch import nn


class SwissRoll(Prior):
    """A spiral from the origin of the plane outwards (Makhzani et al., 2015)."""

    type: Literal["swiss_roll"] = "swiss_roll"
    example = (
               "latent: {type: adversarial, dim: 2, prior: {type: swiss_roll, turns: 1.5, radius: 2, std: 0.2}, discriminator: "
               "{layer: linear, width: [4, 3]}}")
    turns: float = knob(2.0, "turns around the origin", affects="training", gt=0)
    radius: float = knob(4.0, "distance of its end from the origin", affects="training", gt=0)
    std: float = knob(0.1, "standard deviation of a blur around the curve", affects="training", ge=0)

    def plan_prior(self, codes: Value, site: Site) -> Contribution:
        """Two dimensions."""
        require_plane(self, codes, site)
        return super().plan_prior(codes, site)

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The prior's module."""
        from aebuild.modules.priors import SwissRollPrior

        return SwissRollPrior(self.turns, self.radius, self.std)
