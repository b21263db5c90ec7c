"""A grid cut into patches."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Literal

from aebuild.lang.diagnostics import Rule
from aebuild.lang.families import Layer
from aebuild.lang.node import Node, Resize, Site
from aebuild.lang.part import knob
from aebuild.lang.patches import patch_grid
from aebuild.lang.per_axis import Size, largest_divisor, per_axis, spread
from aebuild.lang.values import Grid, Sequence, Value

if TYPE_CHECKING:
    from torch import nn

UNDIVIDED = Rule("AE823", "patches that do not divide the grid", """\
`patchify` cuts a grid into whole patches, side by side. Where their size does not divide the grid, take a size that does, or let the grid
be filled up with zeros at its far ends (`pad: true`).

```yaml
data: mnist                                       # 28×28
encoder: [patchify: {size: 5, width: 32}, transformer: 32]
```
```yaml
data: mnist
encoder: [patchify: {size: 4, width: 32}, transformer: 32]
```
""")


class Patchify(Layer):
    """A grid cut into patches, each mapped linearly to a place of a sequence (Dosovitskiy et al., 2021).

    Patches follow each other in raster order, each with its position added, so that blocks of attention behind it add none. The map is a
    convolution that moves by its own size.
    """

    type: Literal["patchify"] = "patchify"
    example = ("encoder: [patchify: {size: [4, 2], width: 8}, transformer: 8]\n"
               "decoder: [transformer: 8, unpatchify: {size: [4, 2], width: 2}]")
    also = ("patch", "patches", "patch_embed", "patch_embedding", "patch_embeddings", "to_patches")
    foreign = {"patch": "size", "patch_size": "size", "embed_dim": "width", "padding": "pad"}
    size: Size = knob(..., "edge of a patch", examples=[4], affects="graph")
    width: int | None = knob(None, "features of a patch (default: as many as it has values)", affects="graph", ge=1)
    positions: Literal["auto", "learned", "sinusoidal", "none"] = knob(
        "auto", "what tells the patches apart, added to each: a learned vector (auto means it), sines and cosines, or nothing",
        affects="graph")
    pad: bool = knob(False, "fill up with zeros what the patches do not divide, instead of refusing it", affects="graph")
    wants = ("grid",)

    def sizes(self, rank: int) -> tuple[int, ...]:
        """The edge along each axis."""
        return spread(self.size, rank)

    def plan(self, value: Value, site: Site) -> Node:
        """grid(C; S…) to sequence(T; width)."""
        assert isinstance(value, Grid)
        size = per_axis(self, "size", value.axes, site)
        grid = self._grid(value, size, site)
        if site.stage.up:
            site.next_resize()
        site.stage.size = grid
        children = self._cut(value, size, grid, site.path)
        children += self._positioned(children[-1].output, site)
        if site.stage.visible is not None and site.path == f"{site.stage.top}.0":
            children.append(self._visible(children[-1].output, site))
        return Node(site.path, "patchify", value, children[-1].output, self, children=tuple(children), sequential=True)

    def _grid(self, value: Grid, size: tuple[int, ...], site: Site) -> tuple[int, ...]:
        if not self.pad and any(place % edge for place, edge in zip(value.size, size, strict=True)):
            near = [largest_divisor(place, edge) for place, edge in zip(value.size, size, strict=True)]
            site.refuse(self, UNDIVIDED, f"patches of {'×'.join(map(str, size))} do not divide {value}; `pad: true` fills it up", "size",
                        fix=f"size: {near[0] if len(set(near)) == 1 else near}")
        return patch_grid(value.size, size)

    def _cut(self, value: Grid, size: tuple[int, ...], grid: tuple[int, ...], path: str) -> list[Node]:
        leaves: list[Node] = []
        full = tuple(count * edge for count, edge in zip(grid, size, strict=True))
        if full != value.size:
            padding = tuple((0, after - before) for before, after in zip(value.size, full, strict=True))
            leaves.append(Node(f"{path}.pad", "pad", value, Grid(value.features, full), self, {"padding": padding}))
        width = self.width or value.features * prod(size)
        weights: dict[str, tuple[int, ...]] = {"weight": (width, value.features, *size), "bias": (width,)}
        args = {"kernel": size, "stride": size, "dilation": (1,) * value.axes, "groups": 1, "bias": True, "padding": [0] * value.axes}
        leaves.append(Node(f"{path}.conv", "conv", Grid(value.features, full), Grid(width, grid), self, args, weights, init="linear",
                           macs=prod(grid) * prod(weights["weight"]), window=tuple((edge, float(edge)) for edge in size)))
        leaves.append(Node(f"{path}.raster", "raster", Grid(width, grid), Sequence(prod(grid), width), self))
        return leaves

    def _positioned(self, value: Value, site: Site) -> list[Node]:
        """The positions, which the stage then has."""
        if self.positions == "none" or site.stage.positioned:
            return []
        site.stage.positioned = True
        site.stage.agreed["positions"] = self
        weights = {"weight": value.shape} if self.kind_of_positions == "learned" else {}
        return [Node(f"{site.path}.positions", "positions", value, value, self, {"kind": self.kind_of_positions}, dict(weights))]

    def _visible(self, value: Value, site: Site) -> Node:
        """What keeps the visible patches; in the table it has all, as in evaluation."""
        assert site.stage.visible is not None
        kept = Sequence(site.stage.visible, value.features) if site.stage.shortened else value
        return Node(f"{site.path}.visible", "visible", value, kept, self, reads=("visible",))

    @property
    def kind_of_positions(self) -> str:
        """What tells the patches apart."""
        return "learned" if self.positions == "auto" else self.positions

    def resizes(self, rank: int) -> list[Resize]:
        """One, which shrinks."""
        return [Resize(self.sizes(rank), lambda size, axis, factor: -(-size // factor),
                       lambda goal, axis, factor: goal * factor, forced=True)]

    def mirrored(self) -> Layer:
        """The grid made of patches of the same size."""
        return Layer.named("unpatchify", size=self.size)

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """One of its leaves."""
        from aebuild.modules.convolution import convolution
        from aebuild.modules.patches import VisiblePatches
        from aebuild.modules.shapes import Pad, Raster
        from aebuild.modules.transformer import LearnedPositions, SinusoidalPositions

        if node.kind == "positions":
            table = SinusoidalPositions if node.args["kind"] == "sinusoidal" else LearnedPositions
            return table(node.output.places[0], node.output.features)
        if node.kind == "conv":
            return convolution(node.input.axes, node.input.features, node.output.features, **node.args)
        if node.kind == "pad":
            return Pad(node.args["padding"])
        return Raster() if node.kind == "raster" else VisiblePatches()
