"""An activation as a step of its own."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from aebuild.lang.families import Activation as ActivationPart
from aebuild.lang.families import Layer
from aebuild.lang.node import Node, Site
from aebuild.lang.values import Value


class Activation(Layer):
    """A nonlinearity as a step of its own."""

    type: Literal["activation"] = "activation"
    keeps_lengths = True
    example = "encoder: [linear: {width: 8, activation: none}, activation: tanh]"
    activation: ActivationPart = Field(..., description="which nonlinearity")
    follower = True

    def plan(self, value: Value, site: Site) -> Node:
        """Keeps the type."""
        return self.activation.plan(value, site)
