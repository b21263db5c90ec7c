"""Divisive normalisation across channels."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Activation
from aebuild.lang.node import Node, Site
from aebuild.lang.values import Value, elements

if TYPE_CHECKING:
    from torch import nn


class Gdn(Activation):
    """x_i / √(β_i + Σ_j γ_ij·x_j²) over the channels of a place; in a decoder times it (Ballé, Laparra and Simoncelli, 2016).

    β and γ are learned and positive. Usual in compression.
    """

    type: Literal["gdn"] = "gdn"
    example = "encoder: [conv: {width: 4, stride: 2, activation: gdn}]"
    also = ("igdn", "generalized_divisive_normalization", "divisive_normalization")
    remembers = 3

    def plan(self, value: Value, site: Site) -> Node:
        """A β a channel, a γ a pair."""
        channels = value.features
        return Node(site.path, "gdn", value, value, self, {"inverse": site.stage.up},
                    {"root_beta": (channels,), "root_gamma": (channels, channels)}, macs=prod(value.places) * channels**2,
                    keeps=self.remembers * elements(value))

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The module."""
        from aebuild.modules.divisive import DivisiveNorm

        return DivisiveNorm(node.input.features, node.input.feature_axis, inverse=node.args["inverse"])
