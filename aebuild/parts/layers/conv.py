"""A convolution: down in an encoder, up in a decoder."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from aebuild.lang.convolution import Window, convolve, fit_causal, fit_transpose, holes, resampling, transpose
from aebuild.lang.diagnostics import Rule
from aebuild.lang.lint import Finding, Surroundings
from aebuild.lang.node import Node, Resize, Site
from aebuild.lang.norm_act import Weighted
from aebuild.lang.part import knob
from aebuild.lang.per_axis import Margin, Size, per_axis, spread
from aebuild.lang.values import Grid, Value

Groups = Annotated[int, Field(ge=1)] | Literal["depthwise"]

if TYPE_CHECKING:
    from torch import nn

TOO_SMALL = Rule("AE301", "the grid is smaller than the kernel", """\
Each strided convolution or pooling shrinks the grid. When the grid has become smaller than the kernel, nothing is left to compute.

```yaml
data: digits                                                    # 8×8
encoder: {layer: conv, depth: 4, width: 64, kernel: 4, stride: 2}   # 8 → 4 → 2 → 1 → nothing
```
```yaml
encoder: {layer: conv, depth: 2, width: 64, kernel: 4, stride: 2}
```
""")

ENCODER_ONLY = Rule("AE323", "padding is solved in a decoder", """\
In a decoder the compiler chooses padding and output padding, so that the result has exactly the size of the data. A padding written
there would contradict it. Use `conv_transpose` for full control.

```yaml
decoder: [conv: {width: 64, stride: 2, padding: 1}]
```
```yaml
decoder: [conv: {width: 64, stride: 2}]
```
""")

DECODER_ONLY = Rule("AE324", "upsampling outside a decoder", """\
`upsample` says how a convolution in a decoder enlarges its grid. In an encoder a convolution shrinks its grid, so the key would do
nothing.

```yaml
encoder: {layer: conv, width: 64, upsample: nearest}
```
```yaml
encoder: {layer: conv, width: 64}
decoder: {layer: conv, width: 64, upsample: nearest}
```
""")

GROUPS = Rule("AE325", "groups do not divide the channels of a convolution", """\
A grouped convolution gives each group an equal share of the input and output channels.

```yaml
encoder: [conv: {width: 64, groups: 3}]
```
```yaml
encoder: [conv: {width: 64}, conv: {width: 64, groups: 4}]
```
""")


NO_TIME = Rule("AE851", "a causal convolution where there is no time", """\
A causal convolution looks at the places before its own and never behind it (van den Oord et al., 2016). That means something along one
axis: of a waveform, a sequence or text. An image has no direction in which it happens. The padding follows: all of it stands in front.

```yaml
data: digits
encoder: [conv: {width: 16, causal: true}]
```
```yaml
data: digits
encoder: [conv: {width: 16}]
```
""")


class Conv(Weighted):
    """A convolution; in a decoder it enlarges the grid by its stride."""

    type: Literal["conv"] = "conv"
    example = ("encoder: [conv: {width: 4, kernel: [3, 2], stride: 2, padding: 1, dilation: 1, groups: 1}, conv: {width: 4, "
               "kernel: 2, groups: 2}]\n"
               "decoder: [conv: {width: 4, kernel: 3, stride: 1}, conv: {width: 2, dilation: 2}]\n"
               "---\n"
               "data: {type: ecg5000, limit: 24}\n"
               "encoder: [conv: {width: 4, kernel: 4, stride: 2, dilation: 2, causal: true}]\n"
               "latent: {type: continuous, dim: 1, per: position}\n"
               "decoder: [conv: {width: 4, kernel: 4, causal: true}]")
    also = ("conv1d", "conv2d", "conv3d", "cnn", "convolution")
    width: int = knob(..., "output channels", examples=[64], affects="graph", ge=1)
    kernel: Size = knob(3, "size of the window", affects="graph")
    stride: Size | None = knob(
        None, "step of the window: shrinks the grid in an encoder (default 1), enlarges it in a decoder (default: solved)", affects="graph")
    padding: Margin | None = knob(None, "zeros on each side, encoder only (default (kernel-1)//2)", affects="graph")
    dilation: Size = knob(1, "distance between the window's taps", affects="graph")
    groups: Groups = knob(1, "groups of channels that do not see each other; depthwise: one for each channel of the input", affects="graph")
    upsample: Literal["transpose", "nearest", "shuffle"] | None = knob(
        None, "how a decoder's convolution enlarges: transposed (default), nearest neighbours first, or channels to space", affects="graph")
    causal: bool = knob(
        False, "along one axis: each place sees those before it and none behind, so that a stream can be taken piece by piece",
        affects="graph")
    wants = ("grid",)

    def lint(self, node: Node | None, around: Surroundings) -> Iterator[Finding]:
        """A window that moves further than its size leaves places out."""
        return holes(self, node)

    def plan(self, value: Value, site: Site) -> Node:
        """grid(C; S) to grid(width; S') with S' from the stride, or from the solver in a decoder."""
        groups = self._groups(value)
        if value.features % groups or self.width % groups:
            site.refuse(self, GROUPS, f"{groups} groups do not divide {value.features} input and {self.width} output channels",
                        "groups")
        if self.causal and len(value.places) > 1:
            site.refuse(self, NO_TIME, f"{value} has {len(value.places)} axes, and a causal convolution goes along one", "causal",
                        fix="remove causal")
        if self.causal and self.padding is not None:
            site.refuse(self, NO_TIME, "a causal convolution has all of its padding in front, as much as its window needs", "padding",
                        fix="remove padding")
        leaves = self._up(value, site) if site.stage.up else self._down(value, site)
        return self.dress(leaves, value, site)

    def _groups(self, value: Value) -> int:
        return value.features if self.groups == "depthwise" else self.groups

    def _down(self, value: Value, site: Site) -> list[Node]:
        if self.upsample is not None:
            site.refuse(self, DECODER_ONLY, "upsample only acts in a decoder", "upsample", fix="remove upsample")
        rank = len(value.places)
        kernel, dilation = per_axis(self, "kernel", rank, site), per_axis(self, "dilation", rank, site)
        stride = (1,) * rank if self.stride is None else per_axis(self, "stride", rank, site)
        padding = tuple((k - 1) // 2 * d for k, d in zip(kernel, dilation, strict=True)) if self.padding is None else per_axis(
            self, "padding", rank, site)
        around = tuple((d * (k - 1), 0) if self.causal else (p, p) for p, k, d in zip(padding, kernel, dilation, strict=True))
        window = Window(kernel, stride, dilation, around, self._groups(value))
        size = window.down(value.places)
        if min(size) < 1:
            site.refuse(self, TOO_SMALL, f"a kernel of {_times(kernel)} does not fit into {value} padded by {_times(padding)}",
                        "kernel", "stride", fix=f"kernel: {min(value.places)}")
        return convolve(self, site.path, value, self.width, size, window, self.bias, self.gain)

    def _up(self, value: Value, site: Site) -> list[Node]:
        if self.padding is not None:
            site.refuse(self, ENCODER_ONLY, "padding is solved in a decoder", "padding", fix="remove padding")
        rank = len(value.places)
        kernel, dilation = per_axis(self, "kernel", rank, site), per_axis(self, "dilation", rank, site)
        if self.stride is not None:
            per_axis(self, "stride", rank, site)
        factor, size = site.next_resize()
        if max(factor) == 1:
            return self._same(value, size, kernel, dilation, site.path)
        if self.upsample == "nearest":
            grown = Grid(value.features, _times_each(value.places, factor) if self.causal else size)
            resize = Node(f"{site.path}.resize", "resize", value, grown, self, {"size": grown.size},
                          window=resampling(value.places, grown.size))
            return [resize, *self._same(grown, size, kernel, dilation, site.path)]
        if self.upsample == "shuffle":
            return self._shuffled(value, size, factor, kernel, dilation, site.path)
        return self._transposed(value, size, factor, kernel, dilation, site.path)

    def _same(self, value: Value, size: tuple[int, ...], kernel: tuple[int, ...], dilation: tuple[int, ...], path: str,
              width: int | None = None) -> list[Node]:
        padding = []
        for have, want, k, d in zip(value.places, size, kernel, dilation, strict=True):
            total = want - have + d * (k - 1)
            before = d * (k - 1) if self.causal else total // 2
            padding.append((before, total - before))
        window = Window(kernel, (1,) * len(size), dilation, tuple(padding), self._groups(value))
        return convolve(self, path, value, width or self.width, size, window, self.bias, self.gain)

    def _shuffled(self, value: Value, size: tuple[int, ...], factor: tuple[int, ...], kernel: tuple[int, ...],
                  dilation: tuple[int, ...], path: str) -> list[Node]:
        leaves = self._same(value, value.places, kernel, dilation, path, self.width * prod(factor))
        grown = Grid(self.width, _times_each(value.places, factor))
        leaves.append(Node(f"{path}.shuffle", "shuffle", leaves[-1].output, grown, self, {"factor": factor},
                           window=tuple((f, 1 / f) for f in factor)))
        return leaves if grown.size == size else [*leaves, self._cut(path, grown, size)]

    def _transposed(self, value: Value, size: tuple[int, ...], factor: tuple[int, ...], kernel: tuple[int, ...],
                    dilation: tuple[int, ...], path: str) -> list[Node]:
        fit = fit_causal if self.causal else fit_transpose
        fits = [fit(*axis) for axis in zip(value.places, size, kernel, factor, dilation, strict=True)]
        window = Window(kernel, factor, dilation, tuple((p, p) for p, _, _ in fits), self._groups(value))
        full = tuple(s + crop for s, (_, _, crop) in zip(size, fits, strict=True))
        leaf = transpose(self, path, value, self.width, full, window, tuple(op for _, op, _ in fits), self.bias, self.gain)
        return [leaf] if full == size else [leaf, self._cut(path, Grid(self.width, full), size)]

    def _cut(self, path: str, value: Grid, size: tuple[int, ...]) -> Node:
        """What is more than `size` left out: at the ends, or of what is causal at the far one."""
        if self.causal:
            padding = tuple((0, want - have) for have, want in zip(value.places, size, strict=True))
            return Node(f"{path}.cut", "pad", value, Grid(value.features, size), self, {"padding": padding})
        return Node(f"{path}.crop", "crop", value, Grid(value.features, size), self, {"size": size})

    def resizes(self, rank: int) -> list[Resize]:
        """One: enlarges by the stride, or by what the solver finds."""
        kernel, dilation = spread(self.kernel, rank), spread(self.dilation, rank)
        spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
        by_transpose = self.upsample in (None, "transpose")

        def reach(size: int, axis: int, factor: int) -> int:
            if factor == 1:
                return size + spans[axis] - 1
            return (size - 1) * factor + spans[axis] + factor - 1 if by_transpose else size * factor

        def natural(goal: int, axis: int, factor: int) -> int:
            if factor == 1:
                return goal
            if by_transpose and not self.causal:
                return max(1, (goal + 2 * ((spans[axis] - 1) // 2) - spans[axis]) // factor + 1)
            return -(-goal // factor)

        return [Resize(None if self.stride is None else spread(self.stride, rank), reach, natural)]

    def mirrored(self) -> Conv:
        """The same convolution; padding is solved again."""
        return self.but(padding=None, stride=1 if self.stride is None else self.stride)

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """torch's convolution of the right rank, or one of the modules around it."""
        from aebuild.modules.convolution import convolution
        from aebuild.modules.shapes import Crop, Pad, Resize, Shuffle

        if node.kind == "resize":
            return Resize(node.args["size"], "nearest")
        around: dict[str, type[nn.Module]] = {"pad": Pad, "crop": Crop, "shuffle": Shuffle}
        if node.kind in around:
            return around[node.kind](*node.args.values())
        return convolution(len(node.output.places), node.input.features, node.output.features, **node.args)


def _times_each(size: tuple[int, ...], factor: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(each * by for each, by in zip(size, factor, strict=True))


def _times(numbers: tuple[int, ...]) -> str:
    return "×".join(map(str, numbers))
