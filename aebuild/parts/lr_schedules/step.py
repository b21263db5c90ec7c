"""A learning rate that falls in steps."""

from __future__ import annotations

from typing import Any, Literal

from aebuild.lang.part import knob
from aebuild.lang.training import LrSchedule


class Step(LrSchedule):
    """The learning rate times `gamma` every `step_size` epochs."""

    type: Literal["step"] = "step"
    example = "train: {epochs: 2, batch_size: 10, optimizer: {type: sgd, lr: 0.01, schedule: {type: step, step_size: 1, gamma: 0.5}}}"
    also = ("step_lr",)
    torch_class = "StepLR"
    step_size: int = knob(..., "epochs between two falls", examples=[10], affects="training", ge=1)
    gamma: float = knob(0.1, "factor of each fall", affects="training", gt=0)

    def options(self, rate: Any, epochs: Any, steps: Any) -> dict[str, Any]:
        """What torch's StepLR is called with."""
        return {"step_size": self.step_size, "gamma": self.gamma}
