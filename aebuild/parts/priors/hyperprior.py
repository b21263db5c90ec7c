"""Deviations of a rounded code that a second code tells."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from aebuild.lang.density import density_weights
from aebuild.lang.diagnostics import Rule
from aebuild.lang.families import Layer, Prior
from aebuild.lang.node import Composite, Node, Site, Stage
from aebuild.lang.part import knob
from aebuild.lang.projection import Projection
from aebuild.lang.terms import Contribution
from aebuild.lang.values import Value

if TYPE_CHECKING:
    from torch import nn

OTHER_PLACES = Rule("AE383", "a hyperprior whose decoder ends at other places", """\
The decoder of a hyperprior tells the deviation of each value of the code. It begins with the second code, enlarged to the places of the
first, and must end at the same places: its layers have no strides.

```yaml
encoder: {layer: conv, width: 8, stride: 2}
latent:
  type: compressed
  dim: 4
  per: position
  prior: {type: hyperprior, dim: 2, decoder: [conv: {width: 8, stride: 2}]}
losses: {rate: 0.1}
```
```yaml
latent:
  type: compressed
  dim: 4
  per: position
  prior: {type: hyperprior, dim: 2, decoder: [conv: 8]}
```
""")


class Hyperprior(Prior):
    """Each value of a rounded code is normal around 0, with a deviation that a second, smaller code tells (Ballé et al., 2018).

    The second code is made of the absolute values of the first by `encoder`, which may have strides, rounded, and has a factorised prior.
    Enlarged to the places of the first, it goes through `decoder` to the deviations. The rate counts both.
    """

    type: Literal["hyperprior"] = "hyperprior"
    example = ("encoder: {layer: conv, width: 4, stride: 2}\n"
               "latent: {type: compressed, dim: 3, per: position, prior: {type: hyperprior, dim: 2, "
               "encoder: [conv: {width: 4, stride: 2}], decoder: [conv: 4]}}\n"
               "losses: {rate: 0.1}")
    also = ("scale_hyperprior", "scalehyperprior", "hyper")
    coded = True
    learning = "joint"
    dim: int = knob(8, "features of the second code at each place", affects="graph", ge=1)
    encoder: list[Layer] = Field(default_factory=list, description="hidden layers from the code's absolute values to the second code")
    decoder: list[Layer] = Field(default_factory=list, description="hidden layers from the second code to the deviations, without strides")

    def plan_prior(self, codes: Value, site: Site) -> Contribution:
        """Two networks with their output layers, and the density of the second code."""
        encoder, value = self._stage(self.encoder, codes, site.at("encoder"))
        summary = Projection(activation=None).plan(f"{site.path}.summary", value, self.dim)
        second = summary.output
        decoder, end = self._stage(self.decoder, codes.with_features(self.dim), site.at("decoder"))
        if not end.alike(codes):
            site.refuse(self, OTHER_PLACES, f"the decoder of the hyperprior ends in {end}, but the code is {codes}", "decoder",
                        fix="decoder: []")
        spread = Projection(activation=None).plan(f"{site.path}.spread", end, codes.features)
        weights = {f"small.density.{name}": shape for name, shape in density_weights(self.dim).items()}
        node = Node(site.path, "hyperprior", codes, codes, self, {"small": list(second.shape), "axis": second.feature_axis}, weights,
                    children=(encoder, replace(summary, aside=True), decoder, replace(spread, aside=True)), aside=True)
        return Contribution(node=node)

    @staticmethod
    def _stage(layers: list[Layer], value: Value, site: Site) -> tuple[Node, Value]:
        inside = replace(site, stage=Stage(positions=bool(value.places)))
        nodes, end = inside.chain(layers, value, inside)
        return Node(site.path, "stage", value, end, Composite(), children=nodes, sequential=True, aside=True), end

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The module."""
        from aebuild.modules.entropy_models import Hyperprior as HyperpriorModule

        return HyperpriorModule(node.output.shape, node.output.feature_axis, children["encoder"], children["summary"], children["decoder"],
                                children["spread"], node.args["small"], node.args["axis"])
