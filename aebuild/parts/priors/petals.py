"""Gaussians arranged like petals."""

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


class Petals(Prior):
    """Gaussians around the origin of the plane like the petals of a flower (Makhzani et al., 2015)."""

    type: Literal["petals"] = "petals"
    example = (
               "latent: {type: adversarial, dim: 2, prior: {type: petals, components: 3, radius: 2, std: 0.5, across: 0.2}, "
               "discriminator: {layer: linear, width: [4, 3]}}")
    also = ("flower", "mixture_of_2d_gaussians")
    density = True
    components: int = knob(10, "petals, equally likely", affects="training", ge=1)
    radius: float = knob(4.0, "distance of their centres from the origin", affects="training", ge=0)
    std: float = knob(1.0, "standard deviation along the direction from the origin", affects="training", gt=0)
    across: float = knob(0.3, "standard deviation at right angles to it", affects="training", gt=0)

    def plan_prior(self, codes: Value, site: Site) -> Contribution:
        """Two dimensions."""
        require_plane(self, codes, site)
        return super().plan_prior(codes, site)

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The prior's module."""
        from aebuild.modules.priors import PetalsPrior

        return PetalsPrior(self.components, self.radius, self.std, self.across)
