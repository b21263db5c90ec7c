"""A Gaussian posterior whose draws follow the likelihood."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from aebuild.lang.families import Posterior
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.terms import Contribution
from aebuild.lang.values import Value

if TYPE_CHECKING:
    from torch import nn

NOTHING_BETWEEN = "its posterior follows the likelihood of a sample, and there is none between two samples' features"


class Hamiltonian(Posterior):
    """A diagonal Gaussian whose draws take tempered leapfrog steps along the slope of log p(x, z) (Hamiltonian VAE, Caterini et al., 2018).

    Each step runs the decoder and its gradient. The size of the steps, one for each feature, and the first temperature are learned.
    `posterior.mean`, which recorded programs and `encode` give, is the mean of the Gaussian that the steps begin at.
    """

    type: Literal["hamiltonian"] = "hamiltonian"
    example = "latent: {type: gaussian, dim: 3, posterior: {type: hamiltonian, steps: 2, step_size: 0.1, temper: 0.5}}"
    also = ("hvae", "hmc", "hamiltonian_vae", "leapfrog")
    calls_again = True
    shaping: ClassVar[tuple[str, ...]] = ("steps", "step_size", "temper")
    follows = True
    form = "led"
    steps: int = knob(3, "leapfrog steps of each draw", affects="graph", ge=1, le=1000)
    step_size: float = knob(0.01, "size of a step at first", affects="graph", gt=0, le=10)
    temper: float = knob(0.3, "β of the momentum before the first step, at first; behind the last step it is 1 (quadratic tempering)",
                         affects="graph", gt=0, lt=1)

    def plan_posterior(self, code: Value, site: Site) -> Contribution:
        """A step size for each feature, and a temperature."""
        args = {name: getattr(self, name) for name in self.shaping}
        node = Node(site.path, f"{self.variant_name()} posterior", code, code, self, args, aside=True,
                    weights={"log_step": (code.features,), "temper_logit": ()})
        return Contribution(node=node, refusals={"interpolate before the bottleneck": NOTHING_BETWEEN})

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The posterior's module."""
        from aebuild.modules.hamiltonian import Hamiltonian as HamiltonianModule

        return HamiltonianModule(node.output.feature_axis, node.output.features, self.steps, self.step_size, self.temper)
