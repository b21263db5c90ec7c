"""The logarithm of counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from aebuild.lang.families import Layer
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.values import Value

if TYPE_CHECKING:
    from torch import nn


class Log1p(Layer):
    """ln(1 + x) of each element: brings counts to a size that networks can take, as the first step of an encoder.

    With `total` each sample is first brought to that sum, so that how much was counted in it says nothing. What is below 0 counts as 0. A
    mirrored decoder leaves it out: the likelihood judges the counts themselves.
    """

    type: Literal["log1p"] = "log1p"
    example = ("data: {type: counts, cells: 40, genes: 6}\n"
               "encoder: [log1p: {total: 100}, linear: 8]\n"
               "losses: {reconstruction: poisson}")
    also = ("log", "log_transform", "log_normalize", "lognorm")
    keeps_lengths = True
    follower = False
    total: Annotated[float, Field(gt=0)] | None = knob(
        None, "what the elements of a sample are made to add up to before, such as 10000 (default: as they are)", affects="graph")

    def plan(self, value: Value, site: Site) -> Node:
        """A node that keeps the type."""
        return Node(site.path, "log1p", value, value, self, {} if self.total is None else {"total": self.total})

    def mirrored(self) -> Layer | None:
        """Nothing."""
        return None

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The layer's module."""
        from aebuild.modules.logarithm import Log1p as Log1pModule

        return Log1pModule(self.total)
