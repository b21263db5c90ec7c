"""Sparsity by gates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import ProjectedLatent
from aebuild.lang.node import Node, Site
from aebuild.lang.sparsity import Sparsifier
from aebuild.lang.terms import AUTOENCODER, Contribution, Term, TermPlan
from aebuild.lang.values import Value, elements

if TYPE_CHECKING:
    from torch import nn


class Gated(Sparsifier):
    """A gate says which units are active, the rest how much (Rajamanoharan et al., 2024a).

    Both share the projection; a factor and a bias of each unit tell them apart. The term `gate` is the gate's L1 norm;
    `gate_reconstruction` keeps the gate useful: what its positive part alone would reconstruct, without a gradient to the decoder.
    """

    type: Literal["gated"] = "gated"
    example = ("latent: {type: sparse, dim: 12, activation: gated}\n"
               "losses: {gate: 0.1}")
    also = ("gated_sae", "gate")
    terms = {"gate": Term, "gate_reconstruction": Term}
    meanings = {"gate": "positive part of the gates, whose weight sets how sparse the code becomes; lower is sparser",
                "gate_reconstruction": "reconstruction term of the gates alone; lower is better"}

    def plan_sparsifier(self, latent: ProjectedLatent, code: Value, site: Site) -> Contribution:
        """Factors and biases, and the terms."""
        node = Node(site.path, "gated", code, code, self, weights={"scale": (code.features,), "bias": (code.features,)})
        terms = tuple(TermPlan(name, AUTOENCODER, elements(code)) for name in self.terms)
        return Contribution(node=node, terms=terms)

    def calls_again(self, node: Node) -> Mapping[str, int]:
        """The gates are decoded on their own."""
        return {"decoder": 1}

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The module."""
        from aebuild.modules.sparse_codes import Gated as GatedModule

        return GatedModule(node.output.feature_axis, node.output.features)
