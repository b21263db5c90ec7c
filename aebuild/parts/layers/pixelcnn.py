"""A PixelCNN as the end of a decoder."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Literal

from aebuild.lang.autoregression import Autoregressive
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.values import Grid, Value

if TYPE_CHECKING:
    from aebuild.modules.autoregression import CausalNetwork, Entry

Shapes = dict[str, tuple[int, ...]]


class Pixelcnn(Autoregressive):
    """Makes an image pixel by pixel from its code (gated PixelCNN, van den Oord et al., 2016; PixelVAE, Gulrajani et al., 2017).

    Each pixel is drawn given the code and all pixels above it and to its left, without a blind spot. Its channels are drawn in their
    order, each given those before it: red, green given red, blue given both. The layers up to the pixel are computed once for all of
    them, one gated layer tells each the channels before it, and the steps behind run once a channel. The likelihood is exact.
    """

    type: Literal["pixelcnn"] = "pixelcnn"
    example = ("data: {type: digits, limit: 30, scale: integer}\n"
               "decoder: [linear: 8, pixelcnn: {width: 4, depth: 2, reach: 1, input_dropout: 0.3}, conv: {width: 5, kernel: 1}]\n"
               "losses: {reconstruction: categorical}\n"
               "evaluate: {pictures: 2}\n"
               "---\n"
               "data: {type: arrays, path: x.npz, limit: 30}\n"
               "decoder: [pixelcnn: {width: 4, depth: 2, channels: apart}]\n"
               "losses: {reconstruction: {type: gaussian, variance: learned}}")
    also = ("pixel_cnn", "gated_pixelcnn", "pixelcnn_plus_plus", "pixelvae", "masked_conv")
    ways = ("grid",)
    rank = 2
    reach: int = knob(1, "pixels that a layer sees to each side and above: kernels of 2·reach + 1", affects="graph", ge=1)
    channels: Literal["ordered", "apart"] = knob(
        "ordered", "how the channels of a pixel hang together: each is told those before it, or none the others, which is faster",
        affects="graph")

    def hidden(self, target: Value) -> Value:
        """The horizontal stack."""
        return Grid(self.width, target.places)

    def plan_network(self, value: Value, target: Value, site: Site) -> tuple[Shapes, int]:
        """For each layer both stacks, the way from one to the other, the horizontal one's output, and what it is told."""
        width, kernel, macs = self.width, 2 * self.reach + 1, 0
        weights: Shapes = {}
        for number in range(self.depth):
            inputs, rows = (width, self.reach + 1) if number else (self.inputs(target, site), self.reach)
            kernels = {"vertical": (2 * width, inputs, rows, kernel), "horizontal": (2 * width, inputs, 1, rows),
                       "across": (2 * width, 2 * width, 1, 1), "out": (width, width, 1, 1)}
            weights |= {f"layers.{number}.{each}.weight": shape for each, shape in kernels.items()}
            weights |= {f"layers.{number}.{each}.bias": shape[:1] for each, shape in kernels.items()}
            weights |= {f"told.{number}.weight": (4 * width, value.features, 1, 1)}
            macs += prod(target.places) * sum(prod(shape) for shape in kernels.values()) + prod(value.places) * 4 * width * value.features
        steps = self.steps(target)
        if steps > 1:
            each = self.inputs(target, site) // steps
            earlier = {f"earlier.{step - 1}.weight": (2 * width, step * each, 1, 1) for step in range(1, steps)}
            weights |= {"beside.weight": (2 * width, width, 1, 1), "beside.bias": (2 * width,), **earlier,
                        "out.weight": (width, width, 1, 1), "out.bias": (width,)}
            macs += prod(target.places) * (steps * 3 * width * width + sum(prod(shape) for shape in earlier.values()))
        return weights, macs

    def kept_at_place(self, value: Value, target: Value) -> int:
        """Of each layer both inputs and outputs, what goes across, and two gates; of ordered channels a gate each beside their input."""
        steps = self.steps(target)
        return self.width * (10 * self.depth + (3 * steps + 1 if steps > 1 else 0))

    def steps(self, target: Value) -> int:
        """One for each channel that is told those before it."""
        return target.features if self.channels == "ordered" else 1

    def network(self, node: Node, entry: Entry) -> CausalNetwork:
        """The stacks."""
        from aebuild.modules.pixelcnn_decoder import PixelCnnNetwork

        return PixelCnnNetwork(entry, node.args["inputs"], node.input.features, self.width, self.depth, 2 * self.reach + 1,
                               node.args.get("steps", 1))
