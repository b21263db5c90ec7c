"""A Gaussian posterior whose draws follow the likelihood."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.led_posterior import LedPosterior
from aebuild.lang.node import Node

if TYPE_CHECKING:
    from torch import nn


class Hamiltonian(LedPosterior):
    """A diagonal Gaussian whose draws take tempered leapfrog steps along the slope of log p(x, z) (Hamiltonian VAE, Caterini et al., 2018).

    Each step runs the decoder and its gradient. The size of the steps, one for each feature, and the first temperature are learned.
    `posterior.mean`, which recorded programs and `encode` give, is the mean of the Gaussian that the steps begin at.
    """

    type: Literal["hamiltonian"] = "hamiltonian"
    example = "latent: {type: gaussian, dim: 3, posterior: {type: hamiltonian, steps: 2, step_size: 0.1, temper: 0.5}}"
    also = ("hvae", "hmc", "hamiltonian_vae", "leapfrog")

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The posterior's module."""
        from aebuild.modules.hamiltonian import Hamiltonian as HamiltonianModule

        return HamiltonianModule(node.output.feature_axis, node.output.features, self.steps, self.step_size, self.temper)
