"""A vector to a grid or sequence."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, PrivateAttr

from aebuild.lang.diagnostics import Hint, Rule
from aebuild.lang.families import Layer
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.values import Grid, Sequence, Value

if TYPE_CHECKING:
    from torch import nn

UNEVEN = Rule("AE328", "a vector does not divide into the places", """\
`unflatten` lays a vector out over places without changing a value, so the vector's size must be a multiple of the number of places.

```yaml
decoder: [linear: 100, unflatten: [7, 7], conv: 64]     # 100 / 49 is not whole
```
```yaml
decoder: [linear: 98, unflatten: [7, 7], conv: 64]
```
""")


class Unflatten(Layer):
    """A vector laid out over the places of a grid or sequence.

    In a decoder that leads to data with one axis less the first number can only be meant as channels, as torch has it:
    `unflatten: [64, 7, 7]` makes 64 channels of 7×7 on the way to images.
    """

    type: Literal["unflatten"] = "unflatten"
    example = ("encoder: [unflatten: [8], conv: {width: 2, kernel: 3, stride: 2}]\n"
               "decoder: [linear: 16]")
    also = ("reshape", "view")
    size: list[Annotated[int, Field(ge=1)]] = knob(..., "places per axis, one to three", affects="graph", min_length=1, max_length=3)
    to: Literal["grid", "sequence"] = knob("grid", "a grid, or a sequence of the first size", affects="graph")
    wants = ("vector",)

    _channels: int | None = PrivateAttr(None)

    def towards(self, rank: int) -> Layer:
        """The same with the first number as channels, where there is one more than the data have axes."""
        if self.to != "grid" or not rank or len(self.size) != rank + 1:
            return self
        step = self.but(size=self.size[1:])
        step._channels = self.size[0]
        return step

    def plan(self, value: Value, site: Site) -> Node:
        """vector(D) to grid(D/places; size) or sequence(places; D/places)."""
        places = prod(self.size)
        if self._channels not in (None, value.features / places):
            total, size = places * (self._channels or 1), list(self.size)
            wider = Hint(f"a layer of width {total} before it")
            site.refuse(self, UNEVEN, f"{value} is not {self._channels} channels of {'×'.join(map(str, size))}, as the sizes are read "
                        f"in front of data with {len(size)} ax{'i' if len(size) == 1 else 'e'}s: these are {total:,} values", "size",
                        fix=wider if value.features % places else f"unflatten: {size}")
        if value.features % places:
            site.refuse(self, UNEVEN, f"{value} does not divide into {places} places", "size",
                        fix=Hint(f"a layer of width {-(-value.features // places) * places} before it"))
        out: Value = Grid(value.features // places, tuple(self.size))
        if self.to == "sequence":
            out = Sequence(places, value.features // places)
        site.stage.size = out.places
        return Node(site.path, "unflatten", value, out, self, {"shape": out.shape})

    def mirrored(self) -> Layer | None:
        """Flattening."""
        return Layer.named("flatten")

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """A view of the planned shape."""
        from aebuild.modules.shapes import Unflatten as Module

        return Module(node.args["shape"])
