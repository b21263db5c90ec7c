"""Sparsity by number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import ProjectedLatent
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.sparsity import Sparsifier, check_k
from aebuild.lang.terms import Contribution
from aebuild.lang.values import Value

if TYPE_CHECKING:
    from torch import nn


class TopK(Sparsifier):
    """The k largest units of each sample where they are positive (Makhzani and Frey, 2013; Gao et al., 2024)."""

    type: Literal["top_k"] = "top_k"
    example = "latent: {type: sparse, dim: 12, activation: {type: top_k, k: 3}}"
    also = ("topk", "k_sparse", "ksparse", "autoencoder_topk")
    k: int = knob(..., "active units of a sample, at each place", examples=[32], affects="graph", ge=1)

    def active(self, code: Value) -> int:
        """That many."""
        return self.k

    def plan_sparsifier(self, latent: ProjectedLatent, code: Value, site: Site) -> Contribution:
        """Fewer than there are."""
        check_k(self.k, self, code, site)
        return Contribution(node=Node(site.path, "top_k", code, code, self, {"k": self.k}))

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The module."""
        from aebuild.modules.sparse_codes import TopK as TopKModule

        return TopKModule(node.output.feature_axis, self.k)
