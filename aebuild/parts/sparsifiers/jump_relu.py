"""Sparsity by learned thresholds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import ProjectedLatent
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.sparsity import Sparsifier
from aebuild.lang.terms import AUTOENCODER, Contribution, Term, TermPlan
from aebuild.lang.values import Value, elements

if TYPE_CHECKING:
    from torch import nn


class JumpReLU(Sparsifier):
    """What is above a learned threshold of each unit (Rajamanoharan et al., 2024b).

    The term `l0` counts active units. Counting has no gradient: the thresholds learn from the samples near them, by a rectangular kernel.
    """

    type: Literal["jump_relu"] = "jump_relu"
    example = ("latent: {type: sparse, dim: 12, activation: {type: jump_relu, threshold: 0.1, bandwidth: 0.4}}\n"
               "losses: {l0: 0.05}")
    also = ("jumprelu",)
    threshold: float = knob(0.001, "what every threshold begins at", affects="graph", gt=0)
    bandwidth: float = knob(0.001, "width of the kernel around a threshold, in units of the code", affects="gradient", gt=0)
    terms = {"l0": Term}
    meanings = {"l0": "active units of a sample, whose weight sets how sparse the code becomes; lower is sparser"}

    def plan_sparsifier(self, latent: ProjectedLatent, code: Value, site: Site) -> Contribution:
        """A threshold a unit, and the term."""
        node = Node(site.path, "jump_relu", code, code, self, {"threshold": self.threshold}, {"log_threshold": (code.features,)})
        return Contribution(node=node, terms=(TermPlan("l0", AUTOENCODER, elements(code)),))

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The module."""
        from aebuild.modules.sparse_codes import JumpReLU as JumpReLUModule

        return JumpReLUModule(node.output.feature_axis, node.output.features, self.threshold, self.bandwidth)
