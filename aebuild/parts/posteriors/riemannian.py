"""A Gaussian posterior whose draws follow the likelihood in a learned metric."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.led_posterior import LedPosterior
from aebuild.lang.node import Node
from aebuild.lang.part import knob

if TYPE_CHECKING:
    from torch import nn


class Riemannian(LedPosterior):
    """A diagonal Gaussian whose draws take tempered leapfrog steps in a metric of the code (Chadebec et al., 2020, RHVAE).

    The encoder gives the mean, the logarithm of the variance and a lower triangular matrix L, dim·(dim + 5)/2 numbers. Around the samples
    that a `manifold` prior holds the metric is G⁻¹(z) = Σ Lᵢ·Lᵢᵀ exp(−|z − cᵢ|² / T²) + λ·1, cᵢ their means. Momenta are of N(0, G(z)),
    and the steps those of the generalised integrator, in which place and momentum depend on each other.
    """

    type: Literal["riemannian"] = "riemannian"
    example = ("latent: {type: gaussian, dim: 3, prior: {type: manifold, exemplars: 6, reach: 1.5, floor: 0.1}, "
               "posterior: {type: riemannian, steps: 2, step_size: 0.1, temper: 0.5, rounds: 2, subset: 3}}")
    also = ("rhvae", "riemannian_hamiltonian", "geometric")
    curved = True
    shaping = (*LedPosterior.shaping, "rounds")
    rounds: int = knob(3, "of the fixed points that solve each step", affects="graph", ge=1, le=100)
    subset: int = knob(100, "of the prior's exemplars, drawn anew for each batch, that training makes the metric of", affects="training",
                       ge=1)

    def features(self, dim: int) -> int:
        """Mean, log-variance and the triangle with its diagonal."""
        return 2 * dim + dim * (dim + 1) // 2

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The posterior's module."""
        from aebuild.modules.riemannian import Riemannian as RiemannianModule

        return RiemannianModule(node.output.features, self.steps, self.step_size, self.temper, self.rounds, self.subset)
