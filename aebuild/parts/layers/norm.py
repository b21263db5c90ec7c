"""A normalisation as a step of its own."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aebuild.lang.families import Layer
from aebuild.lang.families import Norm as NormPart
from aebuild.lang.node import Node, Site
from aebuild.lang.values import Value


class Norm(Layer):
    """A normalisation as a step of its own."""

    type: Literal["norm"] = "norm"
    keeps_lengths = True
    example = "encoder: [linear: 8, norm: batch]"
    norm: NormPart = Field(..., description="which normalisation")
    follower = True

    def plan(self, value: Value, site: Site) -> Node:
        """Keeps the type."""
        return self.norm.plan(value, site)
