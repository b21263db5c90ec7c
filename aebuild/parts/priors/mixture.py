"""A mixture of Gaussians whose numbers are learned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.learned_prior import LearnedPrior
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.terms import Contribution
from aebuild.lang.values import Value, elements

if TYPE_CHECKING:
    from torch import nn


class Mixture(LearnedPrior):
    """Several Gaussians whose places, widths and shares are learned (Dilokthanakul et al., 2016).

    With the model where a `kl` term pulls codes to it; afterwards by expectation and maximisation (Ghosh et al., 2020).
    """

    type: Literal["mixture"] = "mixture"
    example = ("latent: {type: gaussian, dim: 3, prior: {type: mixture, components: 5}}\n---\n"
               "latent: {type: continuous, dim: 3, prior: {type: mixture, components: 3, covariance: full}}")
    also = ("gmm", "gaussian_mixture", "mog", "mixture_of_gaussians", "learned_mixture")
    otherwise = ("fitted",)
    components: int = knob(10, "Gaussians", affects="graph", ge=2)
    covariance: Literal["diagonal", "full"] = knob("diagonal", "of each Gaussian", affects="graph")

    def plan_way(self, codes: Value, site: Site, way: str) -> Contribution:
        """Shares, means and spreads: weights that are learned with the model, or buffers."""
        size, fitted = elements(codes), way == "fitted"
        spread = (self.components, size, size) if self.covariance == "full" else (self.components, size)
        numbers = {"shares": (self.components,), "means": (self.components, size), "spread": spread}
        return Contribution(node=Node(site.path, "mixture prior", codes, codes, self, {"fitted": fitted, "full": self.covariance == "full"},
                                      aside=True, **{"buffers" if fitted else "weights": numbers}))  # type: ignore[arg-type]

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The prior's module."""
        from aebuild.modules.prior_mixture import FittedMixture, MixturePrior

        kind = FittedMixture if node.args["fitted"] else MixturePrior
        return kind(node.output.shape, self.components, full=node.args["full"])
