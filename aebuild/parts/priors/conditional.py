"""A prior that depends on the conditions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from aebuild.lang.conditioning import plan_encoders
from aebuild.lang.diagnostics import Rule
from aebuild.lang.families import Layer, Prior
from aebuild.lang.node import Node, Site, Stage
from aebuild.lang.projection import Projection
from aebuild.lang.terms import Contribution
from aebuild.lang.values import Value, Vector, elements

if TYPE_CHECKING:
    from torch import nn

NOTHING_GIVEN = Rule("AE392", "a conditional prior that is told nothing", """\
A `conditional` prior is a Gaussian whose mean and variance depend on what is known of a sample: on conditions that are told to it, and, of
a code in levels, on the level above.

```yaml
data: digits
condition: {label: {into: [encoder, decoder]}}
latent: {type: gaussian, dim: 2, prior: conditional}
```
```yaml
condition: {label: {into: [encoder, decoder, prior]}}
latent: {type: gaussian, dim: 2, prior: conditional}
```
""")


class Conditional(Prior):
    """A Gaussian whose mean and variance depend on the conditions (Sohn et al., 2015), and on the level above.

    A network takes the conditions that are told to the prior, and of a code in levels the code above, to a mean and a log-variance for
    each value of the code, held in [-20, 20].
    """

    type: Literal["conditional"] = "conditional"
    example = ("condition: {label: {into: [encoder, prior]}}\n"
               "latent: {type: gaussian, dim: 3, prior: {type: conditional, network: [linear: 4]}}")
    also = ("conditional_gaussian", "cvae_prior", "class_conditional")
    density = True
    learning = "joint"
    told = True
    of_each_sample = True
    network: list[Layer] = Field(default_factory=list, description="hidden layers between the conditions and the numbers, a stage")

    def plan_prior(self, codes: Value, site: Site) -> Contribution:
        """The network, and what it reads."""
        given = site.stage.given
        if not given:
            site.refuse(self, NOTHING_GIVEN, "no condition is told to the prior", "type", fix="prior: gaussian")
        for join in given:
            join.sites.append(site.path)
        inside = replace(site.at("network"), stage=Stage())
        known = Vector(sum(join.width for join in given))
        encoders, told = plan_encoders(given, inside.at("told"))
        hidden, value = inside.chain(self.network, told, inside)
        adapters, value = inside.adapt(value, ("vector",), inside, None)
        output = Projection(activation=None).plan(f"{inside.path}.output", value, 2 * elements(codes))
        network = Node(inside.path, "stage", known, output.output, self, children=(*encoders, *hidden, *adapters, output), sequential=True)
        columns = [[join.key, join.first, join.last] for join in given]
        return Contribution(node=Node(site.path, "conditional prior", codes, codes, self, {"columns": columns}, children=(network,),
                                      reads=tuple(dict.fromkeys(join.key for join in given))))

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The prior's module."""
        from aebuild.modules.conditional_prior import ConditionalPrior

        return ConditionalPrior(node.output.shape, children["network"], [(key, first, last) for key, first, last in node.args["columns"]])
