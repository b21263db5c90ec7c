"""Features that networks can bend quickly."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Layer
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.values import Value

if TYPE_CHECKING:
    from torch import nn


class FourierFeatures(Layer):
    """Cosines and sines of random projections of the features at each place (Tancik et al., 2020).

    They let the layers behind see fine detail in few numbers, such as coordinates or the columns of a table. Learns nothing; a mirrored
    decoder leaves it out.
    """

    type: Literal["fourier_features"] = "fourier_features"
    example = "data: wine\nencoder: [fourier_features: {width: 8, scale: 0.5}, linear: 8]"
    also = ("fourier", "random_fourier_features", "rff", "positional_encoding", "fourier_embedding")
    keeps_lengths = True
    width: int = knob(..., "features of the result, half cosines and half sines", examples=[64], affects="graph", ge=2, multiple_of=2)
    scale: float = knob(1.0, "standard deviation of the frequencies, in turns for each unit of the input", affects="graph", gt=0)

    def plan(self, value: Value, site: Site) -> Node:
        """The same places with `width` features."""
        half = self.width // 2
        return Node(site.path, "fourier_features", value, value.with_features(self.width), self,
                    {"axis": value.feature_axis, "scale": self.scale},
                    buffers={"frequencies": (half, value.features)}, macs=prod(value.places) * half * value.features)

    def widened(self, factor: float) -> Layer:
        """The same with its width multiplied, to an even number."""
        return self.but(width=2 * max(1, round(self.width * factor / 2)))

    def mirrored(self) -> Layer | None:
        """Nothing."""
        return None

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """A step without weights."""
        from aebuild.modules.channels import FourierFeatures as Module

        return Module(node.input.features, self.width, self.scale, node.args["axis"])
