"""A deterministic code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Activation, Latent, LatentPlan
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.projection import to_code
from aebuild.lang.values import Value, elements

if TYPE_CHECKING:
    from torch import nn

FULL_COVARIANCE = 512        # values of the largest code that is fitted with a full covariance


class Continuous(Latent):
    """A deterministic code of real numbers, as in a classical autoencoder.

    It has no prior: a Gaussian is fitted to the codes of the training data so that it can be sampled, with full covariance
    up to 512 values.
    """

    type: Literal["continuous"] = "continuous"
    example = "latent: {type: continuous, dim: 4, activation: sigmoid}"
    also = ("ae", "deterministic", "autoencoder", "plain", "vector", "bottleneck", "vanilla")
    activation: Activation | None = knob(None, "nonlinearity on the code; sigmoid keeps it in (0, 1)", affects="graph")
    unsampled = "a continuous code has no prior, so a Gaussian is fitted to the codes of the training data"

    def plan_latent(self, value: Value, site: Site) -> LatentPlan:
        """Adapters, projection and activation."""
        steps = to_code(self, value, site, self.dim, self.activation)
        if self.activation is not None:
            steps += (self.activation.plan(steps[-1].output, site.at("activation")),)
        code = steps[-1].output
        size = elements(code)
        full = size <= FULL_COVARIANCE
        node = Node(site.path, "continuous", value, code, self, {"full_covariance": full}, children=steps,
                    buffers={"prior_mean": (size,), "prior_factor": (size, size) if full else (size,)})
        return LatentPlan(node, code, size, 32.0 * size)

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The latent."""
        from aebuild.modules.latent_continuous import ContinuousLatent

        return ContinuousLatent(children, node.output.shape, full=node.args["full_covariance"])
