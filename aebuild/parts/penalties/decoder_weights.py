"""Decoders with small weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from aebuild.lang.node import Node
from aebuild.lang.terms import ModelTypes, Penalty

if TYPE_CHECKING:
    from torch import nn


class DecoderWeights(Penalty):
    """The squared norm of the decoder's weights and biases (RAE-L2, Ghosh et al., 2020)."""

    type: Literal["decoder_weights"] = "decoder_weights"
    example = "losses: {decoder_weights: 0.001}"
    also = ("rae_l2", "decoder_decay", "weight_decay")
    key = "decoder_weights"
    unit = "squared weights of the decoder"

    def elements(self, types: ModelTypes) -> int:
        """One number for the model."""
        return 1

    def calls_again(self, node: Node) -> Mapping[str, int]:
        """Its weights alone."""
        return {"decoder": 0}

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The penalty's module."""
        from aebuild.modules.jacobians import DecoderWeights as DecoderWeightsModule

        return DecoderWeightsModule()
