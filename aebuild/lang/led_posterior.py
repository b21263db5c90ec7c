"""What posteriors share whose draws take leapfrog steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from aebuild.lang.families import Posterior
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.terms import Contribution
from aebuild.lang.values import Value

NOTHING_BETWEEN = "its posterior follows the likelihood of a sample, and there is none between two samples' features"


class LedPosterior(Posterior):
    """A diagonal Gaussian whose draws are led along the slope of log p(x, z), by learned steps; `shaping` are arguments of the node."""

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

    def calls_again(self, node: Node) -> Mapping[str, int]:
        """A slope, which has one itself, before the first step and behind each."""
        return {"decoder": 2 * (self.steps + 1)}
