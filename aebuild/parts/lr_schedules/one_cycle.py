"""One cycle of the learning rate."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import model_validator

from aebuild.lang.part import knob
from aebuild.lang.training import LrSchedule


class OneCycle(LrSchedule):
    """The learning rate up to the optimiser's `lr` and far below it again (Smith and Topin, 2017).

    The phase is one cycle, stepped after each optimiser step; momentum, or Adam's first beta, goes the other way.
    """

    type: Literal["one_cycle"] = "one_cycle"
    example = ("train:\n"
               "  steps: 6\n"
               "  batch_size: 10\n"
               "  optimizer:\n"
               "    lr: 0.01\n"
               "    schedule: {type: one_cycle, pct_start: 0.4, base_momentum: 0.8, max_momentum: 0.9, div_factor: 5, "
               "final_div_factor: 10}")
    also = ("one_cycle_lr",)
    torch_class = "OneCycleLR"
    each = "step"
    pct_start: float = knob(0.3, "share of the cycle that rises", affects="training", gt=0, lt=1)
    anneal_strategy: Literal["cos", "linear"] = knob("cos", "shape of rise and fall", affects="training")
    cycle_momentum: bool = knob(True, "move the momentum the other way", affects="training")
    base_momentum: float = knob(0.85, "momentum at the peak of the learning rate", affects="training", ge=0, lt=1)
    max_momentum: float = knob(0.95, "momentum at the beginning and the end", affects="training", ge=0, lt=1)
    div_factor: float = knob(25.0, "peak divided by the learning rate at the beginning", affects="training", ge=1)
    final_div_factor: float = knob(1e4, "the learning rate at the beginning divided by that at the end", affects="training", ge=1)
    three_phase: bool = knob(False, "come back to the beginning's rate before the last fall", affects="training")

    @model_validator(mode="after")
    def _alive(self) -> Self:
        if not self.cycle_momentum and (self.base_momentum, self.max_momentum) != (0.85, 0.95):
            raise ValueError("base_momentum and max_momentum have no meaning without cycle_momentum")
        return self

    def options(self, rate: Any, epochs: Any, steps: Any) -> dict[str, Any]:
        """What torch's OneCycleLR is called with."""
        return {"max_lr": rate, "total_steps": steps, "pct_start": self.pct_start, "anneal_strategy": self.anneal_strategy,
                "cycle_momentum": self.cycle_momentum, "base_momentum": self.base_momentum, "max_momentum": self.max_momentum,
                "div_factor": self.div_factor, "final_div_factor": self.final_div_factor, "three_phase": self.three_phase}
