"""Codes that hardly move with the input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from aebuild.lang.node import Node
from aebuild.lang.part import knob
from aebuild.lang.terms import ModelTypes, Penalty
from aebuild.lang.values import elements

if TYPE_CHECKING:
    from torch import nn


class Contractive(Penalty):
    """The squared Frobenius norm of the code's Jacobian by the input (Rifai et al., 2011).

    The encoder runs once more, on the clean input. Exact, it takes as many backward passes as the code has values; `draws` random
    projections estimate it without bias (Hutchinson, 1989). Of a variational code it is that of the mean.
    """

    type: Literal["contractive"] = "contractive"
    example = ("encoder: [linear: {width: 8, activation: sigmoid}]\n"
               "losses: {contractive: {draws: 1, weight: 0.1}}")
    also = ("cae", "jacobian", "contraction")
    key = "contractive"
    unit = "squared change of the code by a unit change of each input value"
    draws: int | None = knob(None, "random projections that estimate it, each a backward pass; none: exact, a pass a value of the code",
                             affects="loss", ge=1)

    def check(self, types: ModelTypes) -> str | None:
        """The input must have a gradient."""
        return f"{types.input} name symbols, by which nothing has a gradient" if types.input.dtype == "int64" else None

    def elements(self, types: ModelTypes) -> int:
        """One number for the sample."""
        return 1

    def calls_again(self, node: Node) -> Mapping[str, int]:
        """One pass, and each slope."""
        return {"encoder": 1 + (elements(node.input) if self.draws is None else self.draws)}

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The penalty's module."""
        from aebuild.modules.jacobians import Contractive as ContractiveModule

        return ContractiveModule(self.draws)
