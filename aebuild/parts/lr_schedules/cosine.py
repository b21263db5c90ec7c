"""A learning rate that falls along a cosine."""

from __future__ import annotations

from typing import Any, Literal

from aebuild.lang.part import knob
from aebuild.lang.training import LrSchedule


class Cosine(LrSchedule):
    """The learning rate along half a cosine to `eta_min` (Loshchilov and Hutter, 2016)."""

    type: Literal["cosine"] = "cosine"
    example = "train: {epochs: 2, batch_size: 10, optimizer: {type: sgd, lr: 0.01, schedule: {type: cosine, T_max: 3, eta_min: 0.001}}}"
    also = ("cosine_annealing", "cosine_annealing_lr")
    torch_class = "CosineAnnealingLR"
    T_max: int | None = knob(None, "epochs of the fall, after which it rises again; none for the whole phase", affects="training",
                             ge=1)
    eta_min: float = knob(0.0, "learning rate at the end", affects="training", ge=0)

    def options(self, rate: Any, epochs: Any, steps: Any) -> dict[str, Any]:
        """What torch's CosineAnnealingLR is called with."""
        return {"T_max": self.T_max or epochs, "eta_min": self.eta_min}
