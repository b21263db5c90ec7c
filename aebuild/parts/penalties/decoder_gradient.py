"""Decoders that change slowly with the code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from aebuild.lang.node import Node
from aebuild.lang.part import knob
from aebuild.lang.terms import ModelTypes, Penalty
from aebuild.lang.values import Tokens

if TYPE_CHECKING:
    from torch import nn


class DecoderGradient(Penalty):
    """The squared norm of the decoder's Jacobian by the code (RAE-GP, Ghosh et al., 2020).

    Of the expected data, estimated without bias by `draws` random projections, each a backward pass (Hutchinson, 1989).
    """

    type: Literal["decoder_gradient"] = "decoder_gradient"
    example = "losses: {decoder_gradient: {draws: 2, weight: 0.1}}"
    also = ("rae_gp", "gradient_penalty", "gp")
    key = "decoder_gradient"
    unit = "squared change of the data by a unit change of each value of the code"
    draws: int = knob(1, "random projections that estimate it, each a backward pass", affects="loss", ge=1)

    def check(self, types: ModelTypes) -> str | None:
        """What is decoded must have a gradient."""
        return f"{types.target} name symbols, which have no gradient" if isinstance(types.target, Tokens) else None

    def elements(self, types: ModelTypes) -> int:
        """One number for the sample."""
        return 1

    def calls_again(self, node: Node) -> Mapping[str, int]:
        """One pass, and each slope."""
        return {"decoder": 1 + self.draws}

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The penalty's module."""
        from aebuild.modules.jacobians import DecoderGradient as DecoderGradientModule

        return DecoderGradientModule(self.draws)
