"""Codes near zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.node import Node
from aebuild.lang.terms import Penalty

if TYPE_CHECKING:
    from torch import nn


class CodeNorm(Penalty):
    """The sum of the code's squared values, as regularised autoencoders have it (Ghosh et al., 2020)."""

    type: Literal["code_norm"] = "code_norm"
    example = "losses: {code_norm: 0.2}"
    also = ("l2", "rae", "embedding_loss")
    key = "code_norm"
    unit = "squared values of the code"

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The penalty's module."""
        from aebuild.modules.penalties import SquaredNorm

        return SquaredNorm()
