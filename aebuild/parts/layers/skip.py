"""A skip from the encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from aebuild.lang.diagnostics import Rule
from aebuild.lang.families import Layer
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.values import Value

if TYPE_CHECKING:
    from torch import nn

NO_SOURCE = Rule("AE330", "a skip from nowhere", """\
A skip brings the output of a step of the encoder into the decoder. It names the step by its path, `encoder.` and the step's number
counted from 0, and stands directly in the decoder's list.

```yaml
encoder: [conv: {width: 32, stride: 2}]
decoder: [conv: 32, skip: {from: encoder.3}, conv: {width: 32, stride: 2}]
```
```yaml
decoder: [conv: 32, skip: {from: encoder.0}, conv: {width: 32, stride: 2}]
```
""")

UNEQUAL = Rule("AE331", "a skip between different sizes", """\
A skip joins two values place by place, so both need the same kind and the same places; `add` needs the same number of channels too.

```yaml
data: mnist
encoder: [conv: {width: 32, stride: 2}, conv: {width: 64, stride: 2}]                                     # 14×14, 7×7
decoder: [conv: {width: 32, stride: 2}, skip: {from: encoder.1}, conv: {width: 32, stride: 2}]            # 14×14 meets 7×7
```
```yaml
decoder: [conv: {width: 32, stride: 2}, skip: {from: encoder.0}, conv: {width: 32, stride: 2}]
```
""")


class Skip(Layer):
    """Joins an encoder step's output to the decoder (Ronneberger et al., 2015)."""

    type: Literal["skip"] = "skip"
    example = ("encoder: [conv: {width: 4, stride: 2}, conv: {width: 4, stride: 2}]\n"
               "latent: {type: continuous, dim: 2, per: position}\n"
               "decoder: [conv: 4, skip: {from: encoder.0}, conv: 4]")
    source: str = Field(..., alias="from", description="path of the encoder's step, like encoder.1", json_schema_extra={"affects": "graph"})
    combine: Literal["concat", "add"] = knob("concat", "stack the channels, or add them", affects="graph")

    def plan(self, value: Value, site: Site) -> Node:
        """The decoder's value joined with the tap's."""
        taps = site.stage.taps
        if self.source not in taps:
            names = ", ".join(taps) or "none: skips stand only in the decoder's own list"
            site.refuse(self, NO_SOURCE, f"there is no encoder step {self.source!r} to skip from; there are {names}", "source",
                        fix=f"from: {next(iter(taps))}" if taps else None)
        tap = taps[self.source]
        if not tap.alike(value) or (self.combine == "add" and tap.features != value.features):
            fitting = [path for path, other in taps.items() if other.alike(value)
                       and (self.combine == "concat" or other.features == value.features)]
            site.refuse(self, UNEQUAL, f"{self.source} gives {tap} but the decoder has {value} here", "source",
                        fix=f"from: {fitting[-1]}" if fitting else None)
        out = value if self.combine == "add" else value.with_features(value.features + tap.features)
        return Node(site.path, "skip", value, out, self, {"source": self.source, "axis": value.feature_axis},
                    reads=(self.source,))

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """A join with the encoder's tap."""
        from aebuild.modules.stage import Skip as Module

        return Module(self.source, self.combine, node.args["axis"])
