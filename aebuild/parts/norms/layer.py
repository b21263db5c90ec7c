"""Layer normalisation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.diagnostics import Rule
from aebuild.lang.families import Norm
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.values import Value

if TYPE_CHECKING:
    from torch import nn

PLACES = Rule("AE804", "layer normalisation by place without a grid", """\
On a grid layer normalisation can take all channels and places of a sample together, or the channels of each place. A vector has one place,
and of a sequence each position is normalised for itself anyway, so that `over` would do nothing.

```yaml
encoder: {layer: linear, width: 64, norm: {type: layer, over: place}}
```
```yaml
encoder: {layer: linear, width: 64, norm: layer}
```
""")


class Layer(Norm):
    """Normalises the features of each sample, or of each position (Ba et al., 2016)."""

    type: Literal["layer"] = "layer"
    keeps_lengths = True
    example = "encoder: [linear: {width: 8, norm: {type: layer, eps: 0.001}}]"
    also = ("layer_norm", "ln", "layer_normalization")
    eps: float = knob(1e-5, "added to the variance", affects="gradient", gt=0)
    over: Literal["sample", "place"] = knob(
        "sample", "what is normalised together on a grid: channels and places of a sample, or the channels of each place as in ConvNeXt",
        affects="gradient")

    def plan(self, value: Value, site: Site) -> Node:
        """A scale and a shift per feature."""
        if self.over == "place" and not value.axes:
            site.refuse(self, PLACES, f"{value} is no grid, so that there is nothing to choose", "over", fix="remove over")
        args = {"features": value.features, "kind": value.kind} | ({"over": self.over} if self.over != "sample" else {})
        return Node(site.path, "layer_norm", value, value, self, args, weights={"weight": (value.features,), "bias": (value.features,)})

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """torch's LayerNorm; on a grid GroupNorm with one group, or LayerNorm of each place."""
        from torch import nn

        if self.over == "place":
            from aebuild.modules.channels import LayerNormByPlace

            return LayerNormByPlace(node.args["features"], eps=self.eps)
        if node.input.axes:
            return nn.GroupNorm(1, node.args["features"], eps=self.eps)
        return nn.LayerNorm(node.args["features"], eps=self.eps)
