"""Sparsity by number, on average."""

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


class BatchTopK(Sparsifier):
    """The largest units of a batch, k a sample on average (Bussmann, Leask and Nanda, 2024).

    A sample that needs more units gets more. In evaluation a unit is active above a threshold: the running mean of the smallest value that
    training kept.
    """

    type: Literal["batch_top_k"] = "batch_top_k"
    example = ("latent: {type: sparse, dim: 12, activation: {type: batch_top_k, k: 3, decay: 0.5}}")
    also = ("batchtopk", "batch_topk")
    k: int = knob(..., "active units of a sample on average, at each place", examples=[32], affects="graph", ge=1)
    decay: float = knob(0.99, "share of the threshold's running mean that stays in each step", affects="training", ge=0, lt=1)

    def plan_sparsifier(self, latent: ProjectedLatent, code: Value, site: Site) -> Contribution:
        """Fewer than there are, and the threshold."""
        check_k(self.k, self, code, site)
        return Contribution(node=Node(site.path, "batch_top_k", code, code, self, {"k": self.k}, buffers={"threshold": (), "steps": ()}))

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The module."""
        from aebuild.modules.sparse_codes import BatchTopK as BatchTopKModule

        return BatchTopKModule(node.output.feature_axis, self.k, self.decay)
