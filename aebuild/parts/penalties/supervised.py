"""Contrast between classes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.node import Node
from aebuild.lang.part import knob
from aebuild.lang.terms import ModelTypes, Penalty

if TYPE_CHECKING:
    from torch import nn


class Supervised(Penalty):
    """Codes of one class attract, those of other classes repel, by cosine similarity (Khosla et al., 2020).

    Samples whose label is not known count nowhere, nor does one without another of its class in the batch; a batch without any pair
    gives 0.
    """

    type: Literal["supervised"] = "supervised"
    example = ("data: {type: digits, limit: 30, labels: 25}\n"
               "losses: {contrastive: {type: supervised, temperature: 0.5, weight: 0.3}}")
    across = True
    needs_labels = True
    also = ("supcon", "supervised_contrastive", "sup_con")
    key = "contrastive"
    unit = "nats of surprise at another of the class"
    temperature: float = knob(0.1, "divides the cosine similarities; a small one looks at close neighbours", affects="loss", gt=0)

    def elements(self, types: ModelTypes) -> int:
        """One number for the sample."""
        return 1

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The penalty's module."""
        from aebuild.modules.contrast import Supervised as SupervisedModule

        return SupervisedModule(self.temperature)
