"""Normalisation by the root of the mean square."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Norm
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.values import Value

if TYPE_CHECKING:
    from torch import nn


class Rms(Norm):
    """Divides the features of each place by their root mean square (Zhang and Sennrich, 2019).

    Neither mean nor shift, so that the layer in front keeps its bias.
    """

    type: Literal["rms"] = "rms"
    keeps_lengths = True
    shifts = False
    example = "encoder: [conv: {width: 4, stride: 2, norm: {type: rms, eps: 0.001}}]\ndecoder: [linear: {width: 8, norm: rms}]"
    also = ("rms_norm", "rmsnorm", "root_mean_square")
    eps: float = knob(1e-5, "added to the mean square", affects="gradient", gt=0)

    def plan(self, value: Value, site: Site) -> Node:
        """A scale per feature."""
        return Node(site.path, "rms_norm", value, value, self, {"features": value.features}, weights={"weight": (value.features,)})

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """torch's RMSNorm; on a grid over the channels of each place."""
        from torch import nn

        from aebuild.modules.channels import RmsByPlace

        kind = RmsByPlace if node.input.axes else nn.RMSNorm
        return kind(node.args["features"], eps=self.eps)
