"""A learning rate that falls at chosen epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from aebuild.lang.part import knob
from aebuild.lang.training import LrSchedule

if TYPE_CHECKING:
    import torch


class MultiStep(LrSchedule):
    """The learning rate times `gamma` at each milestone."""

    type: Literal["multistep"] = "multistep"
    example = "train: {epochs: 3, batch_size: 10, optimizer: {lr: 0.01, schedule: {type: multistep, milestones: [1, 2], gamma: 0.3}}}"
    also = ("multistep_lr",)
    milestones: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)] = knob(
        ..., "epochs after which it falls", affects="training")
    gamma: float = knob(0.1, "factor of each fall", affects="training", gt=0)

    def build_schedule(self, optimizer: torch.optim.Optimizer, epochs: int, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
        """The torch.optim.lr_scheduler object."""
        from torch.optim.lr_scheduler import MultiStepLR

        return MultiStepLR(optimizer, self.milestones, self.gamma)
