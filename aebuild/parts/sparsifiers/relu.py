"""Sparsity by a penalty."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.node import Node
from aebuild.lang.sparsity import Sparsifier

if TYPE_CHECKING:
    from torch import nn


class Rectified(Sparsifier):
    """What is positive; `losses: {sparsity: l1}` makes it sparse (Bricken et al., 2023)."""

    type: Literal["relu"] = "relu"
    example = ("latent: {type: sparse, dim: 12, activation: relu}\n"
               "losses: {sparsity: {type: l1, weight: 0.1}}")
    also = ("standard", "l1", "vanilla")
    sparse_by_itself = False

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The module."""
        from aebuild.modules.sparse_codes import Rectified as RectifiedModule

        return RectifiedModule(node.output.feature_axis)
