"""Dead units that learn what the others leave over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.sparsity import Revival
from aebuild.lang.terms import AUTOENCODER, Contribution, Term, TermPlan
from aebuild.lang.values import Value

if TYPE_CHECKING:
    from torch import nn


class AuxiliaryTerm(Term):
    """What dead units leave of the error that the others make."""

    example = ("latent: {type: sparse, dim: 12, activation: {type: top_k, k: 2}, revive: {type: auxiliary, k: 2, after: 1}}\n"
               "losses: {auxiliary: 0.1}")
    also = ("auxk", "aux_k", "auxk_alpha", "auxk_coefficient")


class Auxiliary(Revival):
    """The k largest dead units of a sample learn to reconstruct the others' error (Gao et al., 2024).

    The term `auxiliary` has the weight 1/32 in the paper, and k is about half of the input's values.
    """

    type: Literal["auxiliary"] = "auxiliary"
    example = ("latent: {type: sparse, dim: 12, activation: {type: top_k, k: 2}, revive: {type: auxiliary, k: 2, after: 1}}\n"
               "losses: {auxiliary: 0.1}")
    also = ("auxk", "aux_k", "auxiliary_loss", "ghost_grads")
    k: int = knob(64, "dead units of a sample that take part, at each place", affects="loss", ge=1)
    after: int = knob(1000, "training steps in which no sample activates a unit, after which it is dead", affects="training", ge=1)
    terms = {"auxiliary": AuxiliaryTerm}
    meanings = {"auxiliary": "what dead units leave of the others' squared error, 0 without dead units; lower is better"}

    def plan_revival(self, code: Value, site: Site) -> Contribution:
        """Its counters, and the term."""
        node = Node(site.path, "auxiliary", code, code, self, buffers={"idle": (code.features,)}, aside=True)
        return Contribution(node=node, terms=(TermPlan("auxiliary", AUTOENCODER, 1, AuxiliaryTerm(weight=1 / 32)),))

    def calls_again(self, node: Node) -> Mapping[str, int]:
        """Dead units are decoded on their own."""
        return {"decoder": 1}

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The module."""
        from aebuild.modules.revival import Auxiliary as AuxiliaryModule

        return AuxiliaryModule(node.output.feature_axis, node.output.features, self.after, min(self.k, node.output.features))
