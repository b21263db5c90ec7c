"""A flow as a prior."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from aebuild.lang.learned_prior import UNSUITED, LearnedPrior, Shapes, layers, linear
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.terms import Contribution
from aebuild.lang.values import Value, elements

if TYPE_CHECKING:
    from torch import nn


class Flow(LearnedPrior):
    """N(0, I) through invertible networks (Dinh et al., 2017; Papamakarios et al., 2017).

    A `realnvp` moves every other value by the ones between; in a `maf` each value is moved by those before it, so that densities are
    fast and draws go value by value; in an `iaf` it is the other way round (Kingma et al., 2016). The order of the values turns
    round behind each transform.
    """

    type: Literal["flow"] = "flow"
    example = ("latent: {type: gaussian, dim: 3, prior: {type: flow, transform: realnvp, transforms: 2, width: 6}}\n---\n"
               "latent: {type: continuous, dim: 3, prior: {type: flow, transforms: 2, width: 6}}")
    also = ("normalizing_flow", "normalising_flow", "realnvp", "maf", "real_nvp")
    otherwise = ("phase",)
    transform: Literal["maf", "realnvp", "iaf"] = knob("maf", "how values move each other", affects="graph")
    transforms: int = knob(4, "one after the other", affects="graph", ge=1, le=1000)
    width: int = knob(64, "features of the two hidden layers in each", affects="graph", ge=1)

    def plan_way(self, codes: Value, site: Site, way: str) -> Contribution:
        """The networks; learned afterwards, codes are brought to mean 0 and deviation 1 first."""
        size = elements(codes)
        if self.transform == "realnvp" and size < 2:
            site.refuse(self, UNSUITED, "a realnvp moves one half of the values by the other, but the code has one value", "transform",
                        fix="transform: maf")
        buffers: Shapes = {}
        if way == "phase":
            buffers = {f"flow.transforms.0.{name}": shape for name, shape in (("mean", (size,)), ("scale", (size,)), ("settled", ()))}
        weights: Shapes = {}
        for number in range(self.transforms):
            weights |= self._weights(f"flow.transforms.{2 * number + (way == 'phase')}", size, number)
        macs = sum(shape[0] * shape[1] for shape in weights.values() if len(shape) == 2) * (size if self.transform == "iaf" else 1)
        return Contribution(node=Node(site.path, "flow prior", codes, codes, self, {"standardised": way == "phase"}, weights, buffers, macs,
                                      aside=True))

    def _weights(self, name: str, size: int, number: int) -> Shapes:
        if self.transform == "realnvp":
            moved = (size + 1 - number % 2) // 2
            return layers(f"{name}.network", size - moved, self.width, self.width, 2 * moved)
        made = f"{name}.transform.network.layers" if self.transform == "iaf" else f"{name}.network.layers"
        return (linear(f"{made}.0", size, self.width) | linear(f"{made}.1", self.width, self.width)
                | linear(f"{made}.2", self.width, 2 * size))

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The prior's module."""
        from aebuild.modules.flows import Inverted, MaskedAutoregressive, Reversal, Standardisation, Transform, TransformCoupling
        from aebuild.modules.prior_flow import FlowPrior

        size = elements(node.output)
        made: list[Any] = [Standardisation(size)] if node.args["standardised"] else []
        for number in range(self.transforms):
            one: Transform
            if self.transform == "realnvp":
                one = TransformCoupling(size, self.width, number % 2)
            else:
                one = MaskedAutoregressive(size, self.width)
                one = Inverted(one) if self.transform == "iaf" else one
            made += [one, Reversal()]
        return FlowPrior(node.output.shape, made)
