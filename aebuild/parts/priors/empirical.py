"""How often the training data use each entry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Prior
from aebuild.lang.node import Node, Site
from aebuild.lang.terms import Contribution
from aebuild.lang.values import Tokens, Value

if TYPE_CHECKING:
    from torch import nn


class Empirical(Prior):
    """Each index as often as the training data use it at its place and group, independently."""

    type: Literal["empirical"] = "empirical"
    example = ("encoder: {layer: conv, width: 4, stride: 2}\n"
               "latent: {type: codebook, codes: 4, dim: 4, prior: empirical}")
    also = ("histogram", "marginal", "frequencies")
    serves = ("tokens",)
    density = True
    learning = "fitted"

    def plan_prior(self, codes: Value, site: Site) -> Contribution:
        """The frequencies, as a buffer."""
        assert isinstance(codes, Tokens), "it serves indices"
        return Contribution(node=Node(site.path, "empirical prior", codes, codes, self, aside=True,
                                      buffers={"frequencies": (codes.length, codes.classes)}))

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The prior's module."""
        from aebuild.modules.priors import EmpiricalIndices

        assert isinstance(node.output, Tokens), "it serves indices"
        return EmpiricalIndices(node.output.length, node.output.classes)
