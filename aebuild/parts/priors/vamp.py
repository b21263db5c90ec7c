"""A mixture of the posteriors of learned pseudo-inputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Prior
from aebuild.lang.learned_prior import encoder_input, too_many
from aebuild.lang.lint import Finding, Surroundings
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.terms import Contribution
from aebuild.lang.values import Value

if TYPE_CHECKING:
    from torch import nn


class Vamp(Prior):
    """The mixture of the posteriors of pseudo-inputs, learned with the model (Tomczak and Welling, 2018).

    The pseudo-inputs pass through the encoder. They begin as samples of the training data.
    """

    type: Literal["vamp"] = "vamp"
    example = "latent: {type: gaussian, dim: 3, prior: {type: vamp, components: 6}}"
    also = ("vampprior", "vamp_prior", "variational_mixture_of_posteriors", "pseudo_inputs")
    density = True
    learning = "joint"
    encodes = True
    components: int = knob(100, "pseudo-inputs", affects="graph", ge=2)

    def lint(self, node: Node | None, around: Surroundings) -> Iterator[Finding]:
        """Every component wants a sample."""
        return too_many(self, "components", around)

    def plan_prior(self, codes: Value, site: Site) -> Contribution:
        """The pseudo-inputs, of the type that the encoder takes."""
        taken = encoder_input(self, site)
        return Contribution(node=Node(site.path, "vamp prior", codes, codes, self, {"taken": list(taken.shape)}, aside=True,
                                      weights={"inputs": (self.components, *taken.shape)}))

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The prior's module."""
        from aebuild.modules.prior_mixture import VampPrior

        return VampPrior(node.output.shape, node.args["taken"], self.components)
