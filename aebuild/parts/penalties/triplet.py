"""Triplets of codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.node import Node
from aebuild.lang.part import knob
from aebuild.lang.terms import ModelTypes, Penalty

if TYPE_CHECKING:
    from torch import nn


class Triplet(Penalty):
    """Codes of one class nearer to each other than to any other class, by a margin, in the hardest triplets of a batch.

    Schroff et al., 2015; hardest triplets as Hermans et al., 2017. Samples whose label is not known count nowhere, nor does one without
    another of its class, or without one of another class, in the batch; a batch without any triplet gives 0.
    """

    type: Literal["triplet"] = "triplet"
    example = ("data: {type: digits, limit: 30, labels: 25}\n"
               "losses: {contrastive: {type: triplet, margin: 0.5, weight: 0.3}}")
    across = True
    needs_labels = True
    also = ("triplet_margin", "triplet_loss", "facenet")
    key = "contrastive"
    unit = "distance short of the margin"
    margin: float = knob(1.0, "how much farther other classes shall be", affects="loss", gt=0)

    def elements(self, types: ModelTypes) -> int:
        """One number for the sample."""
        return 1

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The penalty's module."""
        from aebuild.modules.contrast import Triplet as TripletModule

        return TripletModule(self.margin)
