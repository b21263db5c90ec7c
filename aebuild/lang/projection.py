"""The linear map to the code, and to a discriminator's verdict."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from pydantic import Field

from aebuild.lang.diagnostics import Rule
from aebuild.lang.families import Activation, ProjectedLatent
from aebuild.lang.node import Buildable, Node, Site
from aebuild.lang.values import Value

if TYPE_CHECKING:
    from torch import nn

POSITIONS = Rule("AE340", "a code per position of a vector", """\
`per: position` keeps one code at each place of the encoder's grid or sequence. A vector has no places: either the whole sample
gets one code, or the encoder must end in a grid or a sequence.

```yaml
encoder: {layer: linear, width: 256}
latent: {type: gaussian, dim: 8, per: position}
```
```yaml
encoder: {layer: conv, width: 64, stride: 2}
latent: {type: gaussian, dim: 8, per: position}
```
""")


class Projection(Buildable):
    """A linear map with bias at each place; 1×1 on grids, `activation` is what follows it."""

    keeps_lengths = True
    activation: Activation | None = Field(None, description="nonlinearity that the initialisation should suit")

    def plan(self, path: str, value: Value, features: int) -> Node:
        """The leaf that takes `value` to as many features at the same places."""
        init = "linear" if self.activation is None else self.activation.gain
        weights = {"weight": (features, value.features), "bias": (features,)}
        weights["weight"] += (1,) * value.axes
        return Node(path, "conv" if value.axes else "linear", value, value.with_features(features), self,
                    weights=weights, macs=prod(value.places) * value.features * features, init=init,
                    window=((1, 1.0),) * len(value.places) or None)

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """A Linear, or a convolution of kernel 1."""
        from torch import nn

        if axes := node.input.axes:
            conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[axes - 1]
            return conv(node.input.features, node.output.features, 1)
        return nn.Linear(node.input.features, node.output.features)


PLAIN = Projection()          # one for all that nothing bends


def to_code(latent: ProjectedLatent, value: Value, site: Site, features: int, activation: Activation | None = None) -> tuple[Node, ...]:
    """The nodes from the encoder's output to the code: adapters for a code per sample, then the projection to `features`."""
    nodes: tuple[Node, ...] = ()
    if latent.per == "sample":
        nodes, value = site.adapt(value, ("vector",), site, None)
    elif not value.places:
        site.refuse(latent, POSITIONS, f"the encoder ends in {value}, which has no positions to keep a code at", "per",
                    fix="per: sample")
    return *nodes, Projection(activation=activation).plan(f"{site.path}.projection", value, features)
