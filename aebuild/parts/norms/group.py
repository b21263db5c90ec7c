"""Group normalisation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.diagnostics import Rule
from aebuild.lang.families import Norm
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.per_axis import largest_divisor
from aebuild.lang.values import Value

if TYPE_CHECKING:
    from torch import nn

GROUPS = Rule("AE320", "groups do not divide the channels", """\
Group normalisation and grouped convolutions split the channels into groups of equal size, so the number of groups must divide the
number of channels.

```yaml
encoder: {layer: conv, width: 60, norm: {type: group, groups: 8}}   # 60 / 8 is not whole
```
```yaml
encoder: {layer: conv, width: 64, norm: {type: group, groups: 8}}
```
""")

SEQUENCES = Rule("AE321", "group normalisation of a sequence", """\
A sequence has features at each position and no channels to group. Layer normalisation is the standard choice there.

```yaml
encoder: {layer: lstm, width: 64}
decoder: [lstm: 64, norm: group]
```
```yaml
decoder: [lstm: 64, norm: layer]
```
""")


class Group(Norm):
    """Normalises groups of channels of each sample (Wu and He, 2018)."""

    type: Literal["group"] = "group"
    example = "encoder: [linear: {width: 8, norm: {type: group, groups: 2, eps: 0.001}}]"
    also = ("group_norm", "gn")
    groups: int = knob(8, "number of groups; divides the channels", affects="graph", ge=1)
    eps: float = knob(1e-5, "added to the variance", affects="gradient", gt=0)

    def plan(self, value: Value, site: Site) -> Node:
        """A scale and a shift per channel."""
        if value.series_length is not None:
            site.refuse(self, SEQUENCES, f"group normalisation cannot be applied to {value}", fix="norm: layer")
        if value.features % self.groups:
            best = largest_divisor(value.features, self.groups)
            site.refuse(self, GROUPS, f"{self.groups} groups do not divide {value.features} channels", "groups", fix=f"groups: {best}")
        return Node(site.path, "group_norm", value, value, self, {"features": value.features, "groups": self.groups},
                    weights={"weight": (value.features,), "bias": (value.features,)})

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """torch's GroupNorm."""
        from torch import nn

        return nn.GroupNorm(self.groups, node.args["features"], eps=self.eps)
