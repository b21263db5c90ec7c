"""Patches in a plan: how they lie on a grid, and what stands for those that an encoder did not see."""

from __future__ import annotations

from collections.abc import Sequence as Seq
from typing import TYPE_CHECKING

from aebuild.lang.node import Buildable, Node
from aebuild.lang.values import Value

if TYPE_CHECKING:
    from torch import nn


def patch_grid(places: Seq[int], size: Seq[int]) -> tuple[int, ...]:
    """Patches along each axis, the last of them filled up where `size` does not divide the places."""
    return tuple(-(-place // extent) for place, extent in zip(places, size, strict=True))


class MaskTokens(Buildable):
    """What stands for patches that the encoder did not see: one learned vector (He et al., 2021)."""

    def plan(self, path: str, value: Value) -> Node:
        """The leaf that makes a sequence of all patches of those that were visible."""
        return Node(path, "mask_tokens", value, value, self, {"length": value.places[0]}, weights={"weight": (value.features,)},
                    inserted=True, window=((1, 1.0),), reads=("visible",))

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The module with the vector."""
        from aebuild.modules.patches import MaskTokens as Module

        return Module(node.args["length"], node.output.features)
