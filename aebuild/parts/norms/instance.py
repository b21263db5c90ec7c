"""Instance normalisation."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Literal

from aebuild.lang.diagnostics import Rule
from aebuild.lang.families import Norm
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.values import Value

if TYPE_CHECKING:
    from torch import nn

NO_PLACES = Rule("AE803", "instance normalisation without places", """\
Instance normalisation takes the mean of each channel over the places of a grid. A vector has none, a grid of one place has one, which the
norm would make zero; of a sequence layer normalisation is usual.

```yaml
encoder: {layer: linear, width: 64, norm: instance}
```
```yaml
encoder: {layer: linear, width: 64, norm: layer}
```
""")


class Instance(Norm):
    """Normalises each channel of a grid over its places (Ulyanov et al., 2016)."""

    type: Literal["instance"] = "instance"
    example = "encoder: [conv: {width: 4, stride: 2, norm: {type: instance, eps: 0.001}}]\ndecoder: [linear: 8]"
    also = ("instance_norm", "instancenorm", "in", "instance_normalization")
    eps: float = knob(1e-5, "added to the variance", affects="gradient", gt=0)

    def plan(self, value: Value, site: Site) -> Node:
        """A scale and a shift per channel."""
        if not value.axes or prod(value.places) < 2:
            site.refuse(self, NO_PLACES, f"instance normalisation cannot be applied to {value}", "type", fix="norm: layer")
        return Node(site.path, "instance_norm", value, value, self, {"features": value.features},
                    weights={"weight": (value.features,), "bias": (value.features,)})

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """torch's GroupNorm with a group for each channel."""
        from torch import nn

        return nn.GroupNorm(node.args["features"], node.args["features"], eps=self.eps)
