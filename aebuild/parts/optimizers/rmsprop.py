"""The RMSprop optimiser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from aebuild.lang.part import knob
from aebuild.lang.schedule import numbers
from aebuild.lang.training import Optimizer

if TYPE_CHECKING:
    import torch
    from torch import nn


class RmsProp(Optimizer):
    """RMSprop (Hinton, 2012)."""

    type: Literal["rmsprop"] = "rmsprop"
    example = (
               "train: {steps: 4, batch_size: 10, optimizer: {type: rmsprop, lr: 0.01, alpha: 0.9, eps: 1.0e-4, weight_decay: "
               "0.1, momentum: 0.3}}")
    alpha: float = knob(0.99, "decay of the running average of the squared gradient", affects="training", ge=0, lt=1)
    eps: float = knob(1e-8, "added to the denominator", affects="training", gt=0)
    weight_decay: float = knob(0.0, "L2 penalty, added to the gradient", affects="training", ge=0)
    momentum: float = knob(0.0, "share of the last step that is kept", affects="training", ge=0, lt=1)
    centered: bool = knob(False, "divide by the variance of the gradient instead of its mean square", affects="training")

    def build_optimizer(self, params: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        """The torch.optim object, at the learning rate of step 0."""
        from torch.optim import RMSprop

        return RMSprop(params, numbers(self.lr)[0], self.alpha, self.eps, self.weight_decay, self.momentum, self.centered)
