"""The block of ConvNeXt."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from aebuild.lang.diagnostics import Rule
from aebuild.lang.families import Activation, Layer, Norm
from aebuild.lang.node import Node, Resize, Site
from aebuild.lang.norm_act import sequential
from aebuild.lang.part import knob
from aebuild.lang.per_axis import Size, per_axis, spread
from aebuild.lang.values import Value

if TYPE_CHECKING:
    from torch import nn

TOO_SMALL = Rule("AE801", "the grid is smaller than the stride", """\
A block that shrinks the grid takes whole patches of `stride` places along each axis, without padding. Where the grid is smaller than one
patch nothing is left.

```yaml
data: digits                                                     # 8×8
encoder: {layer: convnext, width: [32, 64, 128], stride: 3}      # 8 → 2 → nothing
```
```yaml
encoder: {layer: convnext, width: [32, 64, 128], stride: 2}      # 8 → 4 → 2 → 1
```
""")

EVEN = Rule("AE805", "an even window beside a shortcut", """\
The convolution of a ConvNeXt block keeps the grid, so that its shortcut can be added. A window of an even number of places has no
middle and would make the grid one place smaller.

```yaml
encoder: {layer: convnext, width: 32, kernel: 4}
```
```yaml
encoder: {layer: convnext, width: 32, kernel: 5}
```
""")


def _by_place() -> Norm:
    return Norm.named("layer", over="place")


class ConvNeXt(Layer):
    """A wide convolution of each channel alone and a network at each place, beside a shortcut (Liu et al., 2022).

    Where stride or width ask for another grid, a convolution of patches and a norm come first; in a decoder it enlarges.
    """

    type: Literal["convnext"] = "convnext"
    example = ("encoder: [convnext: {width: 4, kernel: 3, stride: 2, expand: 2, layer_scale: 0.1}, convnext: 4]\n"
               "decoder: [convnext: 4, convnext: {width: 4, kernel: 5}]")
    also = ("conv_next", "convnext_block", "convnextv1")
    width: int = knob(..., "channels", examples=[64], affects="graph", ge=1)
    kernel: Size = knob(7, "size of the window", affects="graph")
    stride: Size | None = knob(
        None, "edge of the patches that become a place in an encoder (default 1), or that a place becomes in a decoder (default: solved)",
        affects="graph")
    expand: int = knob(4, "hidden features of the network at each place, as a multiple of the width", affects="graph", ge=1)
    layer_scale: float = knob(1e-6, "first value of what multiplies each channel before the sum", affects="graph", gt=0)
    norm: Norm | None = Field(default_factory=_by_place, description="normalisation; by default of the channels of each place")
    activation: Activation | None = Field(default_factory=lambda: Activation.named("gelu"), description="nonlinearity of the network")
    wants = ("grid",)

    def plan(self, value: Value, site: Site) -> Node:
        """grid(C; S) to grid(width; S/stride), or to the solver's size in a decoder."""
        kernel = per_axis(self, "kernel", len(value.places), site)
        if not site.stage.up and any(edge % 2 == 0 for edge in kernel):
            site.refuse(self, EVEN, f"a kernel of {'×'.join(map(str, kernel))} does not keep the grid that the shortcut leads to", "kernel",
                        fix=f"kernel: {kernel[0] + 1 - kernel[0] % 2}")
        before = self._resample(value, site)
        inside = before[-1].output if before else value
        hidden = self.expand * self.width
        steps = [self._conv(width=self.width, kernel=self.kernel, groups="depthwise", norm=self.norm, activation=None),
                 self._conv(width=hidden, kernel=1, activation=self.activation), self._conv(width=self.width, kernel=1, activation=None)]
        here = site.at("block", final=False)
        if site.stage.up:
            here.stage.resizes.extendleft([((1,) * inside.axes, inside.places)] * len(steps))
        children, out = site.chain(steps, inside, here)
        scale = Node(f"{here.path}.scale", "channel_scale", out, out, self, {"first": self.layer_scale}, {"weight": (self.width,)})
        order = [*(child.name for child in children), "scale"]
        block = Node(here.path, "block", inside, out, self, {"order": order}, children=(*children, scale))
        return sequential(site.path, "convnext", value, [*before, block], self)

    def _resample(self, value: Value, site: Site) -> list[Node]:
        """The convolution of patches and its norm, where the grid or its width change."""
        rank = len(value.places)
        stride = (1,) * rank if self.stride is None else per_axis(self, "stride", rank, site)
        size = tuple(s // f for s, f in zip(value.places, stride, strict=True))
        if site.stage.up:
            stride, size = site.stage.resizes[0]
        elif min(size) < 1:
            site.refuse(self, TOO_SMALL, f"patches of {'×'.join(map(str, stride))} do not fit into {value}", "stride",
                        fix=f"stride: {min(value.places)}")
        if (self.width, size) == (value.features, value.places):
            if site.stage.up:
                site.next_resize()
            return []
        conv = self._conv(width=self.width, kernel=list(stride), stride=list(stride), norm=self.norm, activation=None)
        return [conv.plan(value, replace(site.at("resample"), final=False))]

    def _conv(self, **options: object) -> Layer:
        return Layer.named("conv", **{"stride": 1, **options}).placed(self._origin)

    def resizes(self, rank: int) -> list[Resize]:
        """One: patches that do not overlap, the last of them cut or filled."""
        return [Resize(None if self.stride is None else spread(self.stride, rank), lambda size, axis, factor: size * factor + factor - 1,
                       lambda goal, axis, factor: -(-goal // factor))]

    def mirrored(self) -> Layer:
        """The same."""
        return self.but(stride=1 if self.stride is None else self.stride)

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The block with its shortcut, or the scale in it."""
        from aebuild.modules.channels import ChannelScale
        from aebuild.modules.shapes import Residual

        if node.kind == "channel_scale":
            return ChannelScale(node.output.features, len(node.output.places), node.args["first"])
        return Residual({name: children[name] for name in node.args["order"]}, None, None)
