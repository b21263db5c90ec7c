"""Layers that carry a norm and an activation."""

from collections.abc import Sequence as Seq

from pydantic import Field

from aebuild.lang.families import Activation, Layer, Norm
from aebuild.lang.node import Node, Site
from aebuild.lang.values import Value


class Dressed(Layer):
    """A linear map followed by its norm (default none) and activation (default relu); a norm drops the bias."""

    norm: Norm | None = Field(None, description="normalisation after the map; it makes the bias superfluous and drops it")
    activation: Activation | None = Field(
        default_factory=lambda: Activation.named("relu"), description="nonlinearity after the norm; none for a linear layer")

    @property
    def bias(self) -> bool:
        """A map followed by a norm has no bias."""
        return self.norm is None

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


def sequential(path: str, kind: str, value: Value, children: Seq[Node], part: Layer) -> Node:
    """A composite node whose children run in order; with none it is the identity."""
    return Node(path, kind, value, children[-1].output if children else value, part, children=tuple(children), sequential=True)
