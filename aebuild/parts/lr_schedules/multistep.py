"""A learning rate that falls at chosen epochs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from aebuild.lang.part import knob
from aebuild.lang.training import LrSchedule


class MultiStep(LrSchedule):
    """The learning rate times `gamma` at each milestone."""

    type: Literal["multistep"] = "multistep"
    example = "train: {epochs: 3, batch_size: 10, optimizer: {lr: 0.01, schedule: {type: multistep, milestones: [1, 2], gamma: 0.3}}}"
    also = ("multistep_lr",)
    torch_class = "MultiStepLR"
    milestones: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)] = knob(
        ..., "epochs after which it falls", affects="training")
    gamma: float = knob(0.1, "factor of each fall", affects="training", gt=0)

    def options(self, rate: Any, epochs: Any, steps: Any) -> dict[str, Any]:
        """What torch's MultiStepLR is called with."""
        return {"milestones": self.milestones, "gamma": self.gamma}
