"""Contrast between samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.node import Node
from aebuild.lang.part import knob
from aebuild.lang.terms import ModelTypes, Penalty

if TYPE_CHECKING:
    from torch import nn


class NtXent(Penalty):
    """Codes of two corrupted views of a sample attract, those of other samples repel (SimCLR, Chen et al., 2020)."""

    type: Literal["ntxent"] = "ntxent"
    example = ("corrupt: [gaussian: 0.5]\n"
               "losses: {contrastive: {temperature: 0.5, weight: 0.3}}")
    across = True
    leads = True
    also = ("nt_xent", "simclr", "infonce", "info_nce")
    key = "contrastive"
    unit = "nats of surprise at the other view"
    views = 2
    temperature: float = knob(0.5, "divides the cosine similarities; a small one looks at close neighbours", affects="loss", gt=0)

    def elements(self, types: ModelTypes) -> int:
        """One number for the sample."""
        return 1

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The penalty's module."""
        from aebuild.modules.penalties import NtXent as NtXentModule

        return NtXentModule(self.temperature)
