"""Patches put together to a grid."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Literal

from aebuild.lang.diagnostics import Hint, Rule
from aebuild.lang.families import Layer
from aebuild.lang.node import Node, Resize, Site
from aebuild.lang.part import knob
from aebuild.lang.per_axis import Size, per_axis, spread
from aebuild.lang.projection import PLAIN
from aebuild.lang.values import Grid, Value

if TYPE_CHECKING:
    from torch import nn

NO_GRID = Rule("AE824", "a sequence that is no grid of patches", """\
`unpatchify` lays the places of a sequence out as a grid, each as a patch. Which grid that is, it knows from the `patchify` that made the
sequence, in a decoder from the data's size; a sequence of another length is no such grid.

```yaml
data: ecg5000
encoder: [gru: 32, unpatchify: 2]                        # 140 places of a series, not the patches of a grid
decoder: [gru: 32]
```
```yaml
data: ecg5000
encoder: [patchify: {size: 4, width: 32}, gru: {width: 32, returns: sequence}, unpatchify: 2]
decoder: [gru: 32]
```
""")


class Unpatchify(Layer):
    """A sequence of patches, each mapped linearly to its part of a grid (Dosovitskiy et al., 2021).

    Behind it in a decoder stands the likelihood's output layer, which is linear too. What reaches over the end of data that patches do not
    divide is cut off.
    """

    type: Literal["unpatchify"] = "unpatchify"
    example = ("encoder: [patchify: {size: 4, width: 8}, transformer: 8]\n"
               "decoder: [transformer: 8, unpatchify: {size: 4, width: 2}]")
    also = ("from_patches", "depatchify", "unpatch", "patch_expand")
    foreign = {"patch": "size", "patch_size": "size"}
    size: Size = knob(..., "edge of a patch", examples=[4], affects="graph")
    width: int | None = knob(
        None, "channels of the grid (default: as many as keep the number of values, at least those of the data)", affects="graph", ge=1)
    wants = ("sequence",)

    def plan(self, value: Value, site: Site) -> Node:
        """sequence(T; D) to grid(width; S…)."""
        grid = site.stage.size
        if site.stage.up:
            size, full = site.next_resize()
        else:
            size = per_axis(self, "size", len(grid or (1,)), site)
            full = tuple(count * edge for count, edge in zip(grid or (1,), size, strict=True))
        if grid is None or prod(grid) != value.places[0]:
            site.refuse(self, NO_GRID, f"{value} is no grid of patches" + (f" of {'×'.join(map(str, grid))}" if grid else ""), "size",
                        fix=Hint("the size of `patchify`, or a convolution in its place"))
        site.stage.size = full
        return Node(site.path, "unpatchify", value, Grid(self._channels(value, size, site), full), self, sequential=True,
                    children=self._leaves(value, grid, size, full, site))

    def _channels(self, value: Value, size: tuple[int, ...], site: Site) -> int:
        least = site.stage.target.features if site.stage.up and site.stage.target is not None else 1
        return self.width or max(least, -(-value.features // prod(size)))

    def _leaves(self, value: Value, grid: tuple[int, ...], size: tuple[int, ...], full: tuple[int, ...], site: Site) -> tuple[Node, ...]:
        channels = self._channels(value, size, site)
        linear = PLAIN.plan(f"{site.path}.linear", value, channels * prod(size))
        coarse = Grid(channels * prod(size), grid)
        whole = Grid(channels, tuple(count * edge for count, edge in zip(grid, size, strict=True)))
        leaves = [linear, Node(f"{site.path}.unraster", "unraster", linear.output, coarse, self, {"size": grid}),
                  Node(f"{site.path}.shuffle", "shuffle", coarse, whole, self, {"factor": size},
                       window=tuple((edge, 1 / edge) for edge in size))]
        if whole.size != full:
            leaves.append(Node(f"{site.path}.cut", "pad", whole, Grid(channels, full), self,
                               {"padding": tuple((0, after - before) for before, after in zip(whole.size, full, strict=True))}))
        return tuple(leaves)

    @property
    def seed_features(self) -> int | None:
        """Of its own choosing: its width is that of the grid behind it."""
        return None

    def resizes(self, rank: int) -> list[Resize]:
        """One, which enlarges by the size of a patch; what is too much is cut off."""
        return [Resize(spread(self.size, rank), lambda size, axis, factor: size * factor,
                       lambda goal, axis, factor: -(-goal // factor))]

    def mirrored(self) -> Layer:
        """The grid cut into patches of the same size."""
        return Layer.named("patchify", size=self.size)

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """One of its leaves."""
        from aebuild.modules.shapes import Pad, Shuffle, Unraster

        made: dict[str, type[nn.Module]] = {"unraster": Unraster, "shuffle": Shuffle, "pad": Pad}
        return made[node.kind](*node.args.values())
