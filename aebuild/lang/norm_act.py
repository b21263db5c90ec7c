"""Layers that carry a norm and an activation."""

from collections.abc import Sequence as Seq
from dataclasses import replace
from typing import Literal

from pydantic import Field

from aebuild.lang.families import Activation, Layer, Norm
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.values import Value


class Dressed(Layer):
    """A linear map followed by its norm (default none) and activation (default relu); a norm drops the bias, which its shift replaces."""

    norm: Norm | None = Field(None, description="normalisation after the map; it makes the bias superfluous and drops it")
    activation: Activation | None = Field(
        default_factory=lambda: Activation.named("relu"), description="nonlinearity after the norm; none for a linear layer")

    @property
    def bias(self) -> bool:
        """A map followed by a norm that shifts has no bias."""
        return self.norm is None or not self.norm.shifts

    @property
    def gain(self) -> str:
        """The nonlinearity that the initialisation should suit."""
        return "linear" if self.activation is None else self.activation.gain

    def dress(self, leaves: Seq[Node], value: Value, site: Site) -> Node:
        """The step's node: the map's leaves, then norm and activation."""
        children = list(leaves)
        if self.norm is not None:
            children.append(self.norm.plan(children[-1].output, site.at("norm")))
        if self.activation is not None:
            children.append(self.activation.plan(children[-1].output, site.at("activation")))
        return Node(site.path, str(self.variant_name()), value, children[-1].output, self, children=tuple(children), sequential=True)


class Weighted(Dressed):
    """A map whose weight may be normalised before it is used, which is another way to learn the same maps."""

    weights: Literal["free", "weight_norm", "spectral_norm"] = knob(
        "free", "how the weight is written: as it is; a length and a direction for each output (Salimans and Kingma, 2016); or divided by "
        "its largest singular value (Miyato et al., 2018)", affects="graph")

    def written(self, node: Node) -> Node:
        """The leaf of the map, with what its normalised weight adds."""
        if self.weights == "free":
            return node
        width = node.output.features
        return replace(node, args=node.args | {"weights": self.weights},
                       weights=node.weights | ({"gain": (width,)} if self.weights == "weight_norm" else {}),
                       buffers=node.buffers | ({"left": (width,)} if self.weights == "spectral_norm" else {}))


def sequential(path: str, kind: str, value: Value, children: Seq[Node], part: Layer) -> Node:
    """A composite node whose children run in order; with none it is the identity."""
    return Node(path, kind, value, children[-1].output if children else value, part, children=tuple(children), sequential=True)
