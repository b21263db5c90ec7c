"""A WaveNet as the end of a decoder."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, Literal

from aebuild.lang.autoregression import Autoregressive
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.values import Grid, Value

if TYPE_CHECKING:
    from aebuild.modules.autoregression import CausalNetwork, Entry

Shapes = dict[str, tuple[int, ...]]


class Wavenet(Autoregressive):
    """Makes a waveform, series or text place by place from its code (van den Oord et al., 2016; Engel et al., 2017).

    Causal convolutions, each as far apart again as the one before (1, 2, 4, …, anew after `cycle` layers), with gates, residuals and a sum
    of skips. It sees so far back as all its layers together: (kernel − 1) times the sum of these distances, and one place. The values
    of one place are drawn together, independent of each other given what was before.
    """

    type: Literal["wavenet"] = "wavenet"
    example = ("data: {type: series, path: wave.csv, window: {length: 8, stride: 2}}\n"
               "encoder: [gru: 3]\n"
               "decoder: [wavenet: {width: 3, depth: 3, cycle: 2, kernel: 2, skips: 4, input_dropout: 0.3}]\n"
               "losses: {reconstruction: {type: gaussian, variance: learned}}\n"
               "---\n"
               "data: {type: arrays, path: text.npy, as: tokens, shape: [6], vocabulary: 7, limit: 30}\n"
               "encoder: [gru: 4]\n"
               "decoder: [wavenet: {width: 3, depth: 2}]\n"
               "losses: {reconstruction: categorical}")
    also = ("wave_net", "causal_conv", "dilated_conv", "tcn", "bytenet")
    ways = ("grid", "sequence", "tokens")
    rank = 1
    kernel: int = knob(2, "places that a layer looks at", affects="graph", ge=1)
    cycle: int = knob(10, "layers after which distances begin anew at 1", affects="graph", ge=1, le=24)
    skips: int | None = knob(None, "features of the sum of skips, which is what comes out (default: the width)", affects="graph", ge=1)

    @property
    def summed(self) -> int:
        """Features of the sum of skips."""
        return self.width if self.skips is None else self.skips

    def options(self, value: Value, target: Value) -> dict[str, Any]:
        """How far apart the places are that each layer looks at."""
        return {"dilations": [2 ** (number % self.cycle) for number in range(self.depth)]}

    def hidden(self, target: Value) -> Value:
        """The sum of skips."""
        return Grid(self.summed, target.places)

    def plan_network(self, value: Value, target: Value, site: Site) -> tuple[Shapes, int]:
        """The entrance, and for each layer its convolution, what it is told, the residual (but of the last) and the skip."""
        width, inputs = self.width, self.inputs(target, site)
        weights: Shapes = {"enter.weight": (width, inputs, 1), "enter.bias": (width,)}
        for number in range(self.depth):
            kernels = {"conv": (2 * width, width, self.kernel), "out": (width, width, 1), "skip": (self.summed, width, 1)}
            if number == self.depth - 1:
                del kernels["out"]
            weights |= {f"layers.{number}.{each}.weight": shape for each, shape in kernels.items()}
            weights |= {f"layers.{number}.{each}.bias": shape[:1] for each, shape in kernels.items()}
            weights |= {f"layers.{number}.told.weight": (2 * width, value.features, 1)}
        told = self.depth * prod(value.places) * 2 * width * value.features
        own = sum(prod(shape) for name, shape in weights.items() if len(shape) == 3 and ".told." not in name)
        return weights, target.places[0] * own + told

    def kept_at_place(self, value: Value, target: Value) -> int:
        """Of each layer its input, both halves of the gate and what it lets through; and the sum of skips."""
        return 4 * self.width * self.depth + self.summed

    def network(self, node: Node, entry: Entry) -> CausalNetwork:
        """The stack."""
        from aebuild.modules.wavenet import WaveNetwork

        return WaveNetwork(entry, node.args["inputs"], node.input.features, self.width, self.summed, self.kernel, node.args["dilations"])
