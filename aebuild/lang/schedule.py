"""Numbers that change while training: ramps over epochs, steps or a share of the phase."""

from __future__ import annotations

import math
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from aebuild.lang.part import Part, knob

_DURATION = re.compile(r"^(\d+(?:\.\d+)?)\s*(epochs?|steps?|%)$")


def _duration(text: str) -> str:
    found = _DURATION.match(text)
    if not found:
        raise ValueError("a duration is a number and a unit: 10 epochs, 500 steps or 20%")
    if float(found[1]) <= 0:
        raise ValueError("a duration must be positive")
    if found[2] == "%" and float(found[1]) > 100:
        raise ValueError("a share of the phase is at most 100%")
    return text


Duration = Annotated[str, AfterValidator(_duration)]


def in_steps(duration: str, steps_per_epoch: int, total_steps: int) -> int:
    """A duration as optimiser steps, at least one."""
    found = _DURATION.match(duration)
    if found is None:
        raise ValueError(f"not a duration: {duration!r}")
    number, unit = float(found[1]), found[2]
    scale = total_steps / 100 if unit == "%" else steps_per_epoch if unit.startswith("epoch") else 1
    return max(1, round(number * scale))


class Ramp(Part):
    """A number that moves from one value to another, then stays.

    With `cycles` it does so several times (cyclical annealing, Fu et al., 2019): each begins anew, moves for the share `rise` of its
    time and is held for the rest.
    """

    example = ("heads: {digit: {}}\n"
               "losses: {digit: {weight: [{from: 0, to: 1, over: 2 steps}, {from: 1, to: 0.5, over: 50%, shape: cosine}]}}\n"
               "train: {steps: 6, batch_size: 10, optimizer: {lr: {from: 0.001, to: 0.01, over: 5 steps, cycles: 2, rise: 0.4}}}")
    start: float = Field(..., alias="from", description="value at the beginning", json_schema_extra={"affects": "training"})
    to: float = knob(..., "value at the end, kept from then on", affects="training")
    over: Duration = knob("100%", "how long it takes in all: 10 epochs, 500 steps or 20% of the phase", affects="training")
    shape: Literal["linear", "cosine"] = knob("linear", "a straight line, or half a cosine wave", affects="training")
    cycles: int = knob(1, "how often it moves from the beginning to the end in that time", affects="training", ge=1)
    rise: float = knob(1.0, "share of each cycle that the move takes; for the rest the end is held", affects="training", gt=0, le=1)

    def at(self, progress: float) -> float:
        """The value at a progress in [0, 1]."""
        progress = min(max(progress, 0.0), 1.0)
        if progress < 1:
            progress = min(progress * self.cycles % 1 / self.rise, 1.0)
        if self.shape == "cosine":
            progress = (1 - math.cos(math.pi * progress)) / 2
        return self.start + (self.to - self.start) * progress


Dial = float | Ramp | Annotated[list[Ramp], Field(min_length=1)]


def value_at(dial: Dial, step: int, steps_per_epoch: int, total_steps: int) -> float:
    """The value of a number or schedule at a step of its phase; a list's ramps play in turn."""
    if not isinstance(dial, Ramp | list):
        return float(dial)
    ramps = [dial] if isinstance(dial, Ramp) else dial
    begun = 0
    for ramp in ramps:
        length = in_steps(ramp.over, steps_per_epoch, total_steps)
        if step < begun + length:
            return ramp.at((step - begun) / length)
        begun += length
    return ramps[-1].to


def positive_temperature(temperature: Dial) -> Dial:
    """The temperature of a relaxation; ValueError for one that is 0 or less anywhere on its way."""
    if min(numbers(temperature)) <= 0:
        raise ValueError("a temperature is positive")
    return temperature


def numbers(dial: Dial) -> list[float]:
    """Every value a dial starts from or arrives at."""
    if isinstance(dial, Ramp):
        return [dial.start, dial.to]
    if isinstance(dial, list):
        return [number for ramp in dial for number in numbers(ramp)]
    return [float(dial)]
