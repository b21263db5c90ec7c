"""Codes whose first units matter most."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from aebuild.lang.node import Node
from aebuild.lang.part import knob
from aebuild.lang.terms import ModelTypes, Penalty
from aebuild.lang.values import elements

if TYPE_CHECKING:
    from torch import nn


class Nested(Penalty):
    """The reconstruction from the first units of the code alone, for each of several numbers of them.

    The others are zero: Matryoshka representations (Kusupati et al., 2022), whose short prefixes are codes too; with random numbers of
    units it is nested dropout (Rippel et al., 2014). The decoder runs once more for each number.
    """

    type: Literal["nested"] = "nested"
    example = ("latent: {type: continuous, dim: 4}\n"
               "losses: {nested: {units: [1, 2], weight: 0.3}}")
    also = ("matryoshka", "mrl", "nested_dropout", "prefixes", "ordered")
    key = "nested"
    unit = "reconstruction terms of the first units alone, added up"
    units: list[Annotated[int, Field(ge=1)]] = knob(..., "how many of the first units reconstruct, each below `dim`", examples=[[2, 4]],
                                                    affects="loss", min_length=1)

    def check(self, types: ModelTypes) -> str | None:
        """All units together are the reconstruction already."""
        most, all_of_them = max(self.units), types.code.features
        return f"{most} first units, but the code has {all_of_them}, which reconstruct anyway" if most >= all_of_them else None

    def elements(self, types: ModelTypes) -> int:
        """What the reconstruction divides by."""
        return elements(types.target)

    def calls_again(self, node: Node) -> Mapping[str, int]:
        """Once for each number of units."""
        return {"decoder": len(self.units)}

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The penalty's module."""
        from aebuild.modules.penalties import Nested as NestedModule

        return NestedModule(node.output.feature_axis, self.units)
