"""A learning rate that decays exponentially."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.part import knob
from aebuild.lang.training import LrSchedule

if TYPE_CHECKING:
    import torch


class Exponential(LrSchedule):
    """The learning rate times `gamma` after every epoch."""

    type: Literal["exponential"] = "exponential"
    example = "train: {epochs: 2, batch_size: 10, optimizer: {type: sgd, lr: 0.01, schedule: {type: exponential, gamma: 0.7}}}"
    also = ("exponential_lr", "exponential_decay")
    gamma: float = knob(..., "factor of each epoch", examples=[0.95], affects="training", gt=0)

    def build_schedule(self, optimizer: torch.optim.Optimizer, epochs: int, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
        """The torch.optim.lr_scheduler object."""
        from torch.optim.lr_scheduler import ExponentialLR

        return ExponentialLR(optimizer, self.gamma)
