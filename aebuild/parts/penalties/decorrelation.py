"""Units that do not repeat each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.node import Node
from aebuild.lang.part import knob
from aebuild.lang.terms import ModelTypes, Penalty

if TYPE_CHECKING:
    from torch import nn


class Decorrelation(Penalty):
    """The squared covariances of the code's units over the batch, each pair once (DeCov, Cogswell et al., 2016).

    With `normalize` they are correlations, as in Barlow Twins (Zbontar et al., 2021). The places of a grid or sequence count as samples.
    """

    type: Literal["decorrelation"] = "decorrelation"
    example = "losses: {decorrelation: {normalize: true, weight: 0.5}}"
    also = ("decov", "orthogonal", "barlow", "covariance", "whitening")
    across = True
    key = "decorrelation"
    unit = "squared covariances of pairs of units"
    normalize: bool = knob(False, "divide by the units' deviations", affects="loss")

    def check(self, types: ModelTypes) -> str | None:
        """Pairs need two."""
        return None if types.code.features > 1 else "a code of one unit has no pairs"

    def elements(self, types: ModelTypes) -> int:
        """The pairs."""
        return types.code.features * (types.code.features - 1) // 2

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The penalty's module."""
        from aebuild.modules.penalties import Decorrelation as DecorrelationModule

        return DecorrelationModule(node.output.feature_axis, normalize=self.normalize)
