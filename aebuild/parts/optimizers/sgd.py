"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Self

from pydantic import model_validator

from aebuild.lang.part import knob
from aebuild.lang.schedule import numbers
from aebuild.lang.training import Optimizer

if TYPE_CHECKING:
    import torch
    from torch import nn


class Sgd(Optimizer):
    """Stochastic gradient descent, with momentum or without."""

    type: Literal["sgd"] = "sgd"
    example = "train: {steps: 4, batch_size: 10, optimizer: {type: sgd, lr: 0.01, momentum: 0.5, dampening: 0.1, weight_decay: 0.1}}"
    also = ("momentum", "nesterov", "gradient_descent")
    momentum: float = knob(0.0, "share of the last step that is kept", affects="training", ge=0, lt=1)
    dampening: float = knob(0.0, "share of the gradient that momentum leaves out", affects="training", ge=0, lt=1)
    weight_decay: float = knob(0.0, "L2 penalty, added to the gradient", affects="training", ge=0)
    nesterov: bool = knob(False, "look ahead along the momentum; needs momentum and no dampening", affects="training")

    @model_validator(mode="after")
    def _alive(self) -> Self:
        if self.momentum == 0 and (self.nesterov or self.dampening):
            raise ValueError(f"{'nesterov' if self.nesterov else 'dampening'} has no meaning without momentum")
        if self.nesterov and self.dampening:
            raise ValueError("nesterov needs dampening 0")
        return self

    def build_optimizer(self, params: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        """The torch.optim object, at the learning rate of step 0."""
        from torch.optim import SGD

        return SGD(params, numbers(self.lr)[0], self.momentum, self.dampening, self.weight_decay, self.nesterov,
                   fused=True)
