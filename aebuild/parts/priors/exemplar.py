"""A mixture around the codes of training samples."""

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


class Exemplar(Prior):
    """The mixture of Gaussians around the codes of training samples (Norouzi et al., 2020).

    Their common width is learned. The exemplars are kept with the model, and no sample is pulled to itself.
    """

    type: Literal["exemplar"] = "exemplar"
    example = "latent: {type: gaussian, dim: 3, prior: {type: exemplar, exemplars: 12, subset: 4}}"
    also = ("exemplar_vae", "exemplars")
    density = True
    learning = "joint"
    encodes = True
    exemplars: int = knob(1000, "samples of the training data that it is made of", affects="graph", ge=2)
    subset: int = knob(100, "of them, drawn anew for each batch, that stand for all in training", affects="training", ge=2)

    def lint(self, node: Node | None, around: Surroundings) -> Iterator[Finding]:
        """Every exemplar wants a sample."""
        return too_many(self, "exemplars", around)

    def plan_prior(self, codes: Value, site: Site) -> Contribution:
        """The exemplars, of the type that the encoder takes, and the width."""
        taken = encoder_input(self, site)
        return Contribution(node=Node(site.path, "exemplar prior", codes, codes, self,
                                      {"taken": list(taken.shape), "exemplars": self.exemplars}, aside=True,
                                      weights={"log_std": ()}, buffers={"exemplars": (self.exemplars, *taken.shape)}))

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The prior's module."""
        from aebuild.modules.prior_mixture import ExemplarPrior

        return ExemplarPrior(node.output.shape, node.args["taken"], self.exemplars, self.subset)
