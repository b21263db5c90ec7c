"""A PixelCNN over a grid of indices."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, Literal

from aebuild.lang.families import Prior
from aebuild.lang.learned_prior import UNSUITED, Shapes
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.terms import Contribution
from aebuild.lang.values import Tokens, Value, elements

if TYPE_CHECKING:
    from torch import nn


class Pixelcnn(Prior):
    """Each index of a grid from those above it and to its left, by gated convolutions (van den Oord et al., 2016).

    Two stacks see everything before an index, without a blind spot. Several indices at a place stand beside each other. At a lower level of
    a code in levels every layer is told the code above (VQ-VAE-2, Razavi et al., 2019).
    """

    type: Literal["pixelcnn"] = "pixelcnn"
    example = ("encoder: {layer: conv, width: 4, stride: 2}\n"
               "latent: {type: codebook, codes: 6, dim: 2, prior: {type: pixelcnn, width: 5, depth: 2, reach: 1, temperature: 0.05, "
               "top_k: 3}}\n"
               "---\n"
               "encoder: {layer: conv, width: [4, 5], stride: 2}\n"
               "latent: [codebook: {codes: 4, dim: 2, prior: {type: pixelcnn, width: 4, depth: 1}}, "
               "codebook: {codes: 4, dim: 2, from: encoder.0, prior: {type: pixelcnn, width: 4, depth: 2}}]")
    also = ("pixel_cnn", "gated_pixelcnn", "pixelcnn_plus_plus")
    serves = ("tokens",)
    density = True
    learning = "phase"
    width: int = knob(64, "features of each stack", affects="graph", ge=1)
    depth: int = knob(6, "layers", affects="graph", ge=1, le=1000)
    reach: int = knob(1, "places that a layer sees to each side and above: kernels of 2·reach + 1", affects="graph", ge=1)
    temperature: float = knob(1.0, "of draws: logits are divided by it", affects="evaluation", gt=0)
    top_k: int | None = knob(None, "draws are among so many of the most probable indices; of all if absent", affects="evaluation", ge=1)

    def plan_prior(self, codes: Value, site: Site) -> Contribution:
        """Embedding, layers of two stacks, and the logits."""
        assert isinstance(codes, Tokens), "it serves indices"
        if len(codes.layout) < 2 or codes.length < 2:
            site.refuse(self, UNSUITED, f"a PixelCNN goes through a grid of indices, but there are {codes}", "type",
                        fix="prior: autoregressive")
        width, kernel = self.width, 2 * self.reach + 1
        weights: Shapes = {"embed.weight": (codes.classes, width), "hidden.weight": (width, width, 1, 1), "hidden.bias": (width,),
                           "output.weight": (codes.classes, width, 1, 1), "output.bias": (codes.classes,)}
        for number in range(self.depth):
            name, rows = f"layers.{number}", self.reach + (number > 0)
            kernels = {"vertical": (2 * width, width, rows, kernel), "horizontal": (2 * width, width, 1, rows),
                       "across": (2 * width, 2 * width, 1, 1), "out": (width, width, 1, 1)}
            weights |= {f"{name}.{each}.weight": shape for each, shape in kernels.items()}
            weights |= {f"{name}.{each}.bias": shape[:1] for each, shape in kernels.items()}
        above = next((join for join in site.stage.given if join.key == "above"), None)
        args: dict[str, Any] = {"rows": codes.layout[0]}
        if above is not None and above.value is not None:
            above.sites.append(site.path)
            args["above"] = above.value.shape if above.value.axes == 2 else (elements(above.value), 1, 1)
            weights |= {f"above.{number}.weight": (4 * width, args["above"][0], 1, 1) for number in range(self.depth)}
        products = [shape for name, shape in weights.items() if len(shape) == 4 and not name.startswith("above")]
        macs = codes.length * sum(a * b * c * d for a, b, c, d in products)
        if "above" in args:
            macs += self.depth * 4 * width * prod(args["above"])
        return Contribution(node=Node(site.path, "pixelcnn prior", codes, codes, self, args, weights, macs=macs, aside=True,
                                      reads=("above",) if "above" in args else ()))

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The prior's module."""
        from aebuild.modules.pixelcnn import PixelCnnPrior

        assert isinstance(node.output, Tokens), "it serves indices"
        return PixelCnnPrior(node.output.length, node.output.classes, node.args["rows"], self.width, self.depth, 2 * self.reach + 1,
                             temperature=self.temperature, top_k=self.top_k, above=node.args.get("above"))
