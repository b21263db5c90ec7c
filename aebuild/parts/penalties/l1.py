"""Sparsity by small values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.node import Node
from aebuild.lang.terms import Penalty

if TYPE_CHECKING:
    from torch import nn


class L1(Penalty):
    """The sum of the code's absolute values."""

    type: Literal["l1"] = "l1"
    example = "losses: {sparsity: {type: l1, weight: 0.2}}"
    key = "sparsity"
    unit = "absolute values of the code"

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The penalty's module."""
        from aebuild.modules.penalties import SparsityL1

        return SparsityL1()
