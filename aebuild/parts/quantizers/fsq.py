"""Finite scalar quantisation."""

from __future__ import annotations

from math import log2, prod
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from aebuild.lang.codebook_quantizer import check_codes
from aebuild.lang.families import LatentPlan, Quantizer
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.values import Tokens, Value, elements

if TYPE_CHECKING:
    from torch import nn


class Fsq(Quantizer):
    """Each number of the code rounded to one of its levels (Mentzer et al., 2023).

    There is no codebook to learn, and no term: the product of the levels is the number of codes, 1,000 by default; values lie in [−1, 1].
    """

    type: Literal["fsq"] = "fsq"
    example = ("encoder: {layer: conv, width: 4, stride: 2}\n"
               "latent: {type: codebook, groups: 2, quantizer: {type: fsq, levels: [5, 4, 3]}, prior: empirical}")
    also = ("finite_scalar", "finite_scalar_quantization", "rounding", "scalar")
    takes = ("groups",)
    levels: list[Annotated[int, Field(ge=3)]] = knob([8, 5, 5, 5], "how many levels each feature of a group has, at least 3; 5 or more are "
                                                     "advised", affects="graph", min_length=1)

    def features(self, latent: Any) -> int:
        """One for each entry of `levels` in each group."""
        return len(self.levels) * int(latent.groups)

    def plan_quantizer(self, latent: Any, value: Value, steps: tuple[Node, ...], site: Site) -> LatentPlan:
        """No weights: the levels stand in the spec."""
        code, classes = steps[-1].output, prod(self.levels)
        check_codes(self, classes, site, "levels")
        width = elements(code) // len(self.levels)
        node = Node(site.path, "fsq", value, code, latent, {"levels": self.levels}, children=steps)
        return LatentPlan(node=node, code=code, values=elements(code), bits=log2(classes) * width, codes=Tokens(width, classes))

    def build_latent(self, latent: Any, node: Node, steps: dict[str, nn.Module], prior: Any) -> nn.Module:
        """The latent's module."""
        from aebuild.modules.scalar_codes import FsqLatent

        return FsqLatent(steps, node.output.shape, node.output.feature_axis, self.levels, latent.groups, prior=prior)
