"""Draws by the volume of a metric around the codes of training samples."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Prior
from aebuild.lang.learned_prior import UNSUITED, encoder_input, too_many
from aebuild.lang.lint import Finding, Surroundings
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.terms import Contribution
from aebuild.lang.values import Value

if TYPE_CHECKING:
    from torch import nn


class Manifold(Prior):
    """New codes near those of the data: p(z) ∝ √det G⁻¹(z), drawn by Hamiltonian Monte Carlo (Chadebec et al., 2020).

    G⁻¹(z) = Σ Mᵢ exp(−|z − cᵢ|² / T²) + λ·1 around training samples that are kept with the model. cᵢ are the means of their posteriors, Mᵢ
    the matrices of a `riemannian` posterior, of others their covariances (after Chadebec and Allassonnière, 2022). While the model
    trains codes are pulled to N(0, I).
    """

    type: Literal["manifold"] = "manifold"
    example = ("latent: {type: gaussian, dim: 3, prior: {type: manifold, exemplars: 6, moves: 3, leaps: 2, stride: 0.3}}")
    also = ("rhvae_sampler", "manifold_sampler", "riemannian_sampler", "metric", "geometry")
    learning = "fitted"
    encodes = True
    forms = ("diagonal", "full", "led")
    bends = True
    exemplars: int = knob(200, "samples of the training data that the metric is made of", affects="graph", ge=2)
    reach: float = knob(1.0, "T, the distance over which a sample shapes the metric", affects="graph", gt=0)
    floor: float = knob(0.001, "λ, what G⁻¹ is far from all samples", affects="graph", gt=0)
    moves: int = knob(100, "Metropolis steps of a draw, each accepted or not", affects="evaluation", ge=1)
    leaps: int = knob(10, "leapfrog steps of each", affects="evaluation", ge=1)
    stride: float = knob(0.1, "size of a leapfrog step", affects="evaluation", gt=0)

    def lint(self, node: Node | None, around: Surroundings) -> Iterator[Finding]:
        """Every exemplar wants a sample."""
        return too_many(self, "exemplars", around)

    def plan_prior(self, codes: Value, site: Site) -> Contribution:
        """The exemplars, of the type that the encoder takes, and what they make the metric of; refuses a code of several places."""
        if prod(codes.places) > 1:
            message = f"the prior manifold measures distances of codes of one place, but the code is {codes}"
            site.refuse(self, UNSUITED, message, "type", fix="prior: fitted")
        taken, size = encoder_input(self, site), codes.features
        args = {"taken": list(taken.shape), "exemplars": self.exemplars, "reach": self.reach, "floor": self.floor}
        buffers = {"exemplars": (self.exemplars, *taken.shape), "centroids": (self.exemplars, size),
                   "matrices": (self.exemplars, size, size)}
        macs = self.exemplars * size * (size + 1)                    # of the metric at a code
        return Contribution(node=Node(site.path, "manifold prior", codes, codes, self, args, buffers=buffers, macs=macs, aside=True))

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The prior's module."""
        from aebuild.modules.prior_manifold import ManifoldPrior

        return ManifoldPrior(node.output.shape, node.args["taken"], self.exemplars, self.reach, self.floor, self.moves, self.leaps,
                             self.stride)
