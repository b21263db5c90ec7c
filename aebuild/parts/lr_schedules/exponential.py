"""A learning rate that decays exponentially."""

from __future__ import annotations

from typing import Any, Literal

from aebuild.lang.part import knob
from aebuild.lang.training import LrSchedule


class Exponential(LrSchedule):
    """The learning rate times `gamma` after every epoch."""

    type: Literal["exponential"] = "exponential"
    example = "train: {epochs: 2, batch_size: 10, optimizer: {type: sgd, lr: 0.01, schedule: {type: exponential, gamma: 0.7}}}"
    also = ("exponential_lr", "exponential_decay")
    torch_class = "ExponentialLR"
    gamma: float = knob(..., "factor of each epoch", examples=[0.95], affects="training", gt=0)

    def options(self, rate: Any, epochs: Any, steps: Any) -> dict[str, Any]:
        """What torch's ExponentialLR is called with."""
        return {"gamma": self.gamma}
