"""A learning rate that falls in steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.part import knob
from aebuild.lang.training import LrSchedule

if TYPE_CHECKING:
    import torch


class Step(LrSchedule):
    """The learning rate times `gamma` every `step_size` epochs."""

    type: Literal["step"] = "step"
    example = "train: {epochs: 2, batch_size: 10, optimizer: {type: sgd, lr: 0.01, schedule: {type: step, step_size: 1, gamma: 0.5}}}"
    also = ("step_lr",)
    step_size: int = knob(..., "epochs between two falls", examples=[10], affects="training", ge=1)
    gamma: float = knob(0.1, "factor of each fall", affects="training", gt=0)

    def build_schedule(self, optimizer: torch.optim.Optimizer, epochs: int, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
        """The torch.optim.lr_scheduler object."""
        from torch.optim.lr_scheduler import StepLR

        return StepLR(optimizer, self.step_size, self.gamma)
