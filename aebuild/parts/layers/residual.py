"""Steps with a shortcut around them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from aebuild.lang.container import Nested
from aebuild.lang.convolution import Window, convolve
from aebuild.lang.diagnostics import Rule
from aebuild.lang.families import Activation
from aebuild.lang.node import Composite, Node, Resize, Site
from aebuild.lang.norm_act import Weighted
from aebuild.lang.values import Grid, Value

if TYPE_CHECKING:
    from torch import nn

KINDS = Rule("AE329", "a residual that changes the kind of value", """\
A residual adds its input to what its steps make of it, so both must be of one kind: two vectors, two grids or two sequences. Sizes
and widths may differ; a projection on the shortcut makes them equal.

```yaml
encoder: [conv: 64, residual: [flatten, linear: 64]]
```
```yaml
encoder: [conv: 64, residual: [conv: 64, conv: 64]]
```
""")


class Residual(Nested):
    """Adds a shortcut around its steps (He et al., 2015)."""

    type: Literal["residual"] = "residual"
    keeps_lengths = True
    example = "encoder: [conv: {width: 4, stride: 2}, residual: [conv: {width: 4, norm: batch}, conv: {width: 4, activation: none}]]"
    also = ("resblock", "resnet", "residual_block")
    activation: Activation | None = Field(None, description="nonlinearity after the sum")

    def plan(self, value: Value, site: Site) -> Node:
        """The input plus the steps' result; where types differ the shortcut is a projection."""
        children, out = site.chain(self.steps, value, replace(site, final=False))
        children = tuple(children)
        if out.kind != value.kind or (value.series_length or 0) != (out.series_length or 0):
            site.refuse(self, KINDS, f"the steps turn {value} into {out}, which cannot be added", "steps")
        order = [child.name for child in children]
        if out != value:
            children += (self._shortcut(value, out, site),)
        if self.activation is not None:
            children += (self.activation.plan(out, site.at("activation")),)
        return Node(site.path, "residual", value, out, self, {"order": order}, children=children)

    def _shortcut(self, value: Value, out: Value, site: Site) -> Node:
        path = f"{site.path}.shortcut"
        leaves: list[Node] = []
        if value.axes and out.places != value.places:
            grown = Grid(value.features, out.places)
            leaves.append(Node(f"{path}.resize", "resize", value, grown, self, {"size": out.places}, window=None))
            value = leaves[-1].output
        if value != out and value.axes:
            ones = (1,) * value.axes
            projection = Weighted.named("conv", width=out.features, activation=None)
            leaves += convolve(projection, path, value, out.features, out.places,
                               Window(ones, ones, ones, tuple((0, 0) for _ in ones)), True, "linear")
        elif value != out:
            weights: dict[str, tuple[int, ...]] = {"weight": (out.features, value.features), "bias": (out.features,)}
            places = out.places[0] if out.places else 1
            leaves.append(Node(f"{path}.linear", "linear", value, out, self, {}, weights, init="linear",
                               macs=places * out.features * value.features))
        return Node(path, "shortcut", leaves[0].input, out, Composite(), sequential=True, children=tuple(leaves)).marked_inserted()

    def resizes(self, rank: int) -> list[Resize]:
        """What the steps do; the solver chooses nothing inside a residual."""
        return [replace(resize, factor=resize.factor or (1,) * rank) for resize in super().resizes(rank)]

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The steps, the shortcut and the sum; or a leaf of the shortcut."""
        from torch import nn

        from aebuild.modules.shapes import Residual as Module
        from aebuild.modules.shapes import Resize as Resample

        if node.kind == "resize":
            return Resample(node.args["size"], "nearest")
        if node.kind == "linear":
            return nn.Linear(node.input.features, node.output.features)
        return Module({name: children[name] for name in node.args["order"]}, children.get("shortcut"), children.get("activation"))
