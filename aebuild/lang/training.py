"""The families of training: optimisers, schedules, players and phases."""

from collections.abc import Sequence as Seq
from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from aebuild.lang.part import Part, knob
from aebuild.lang.schedule import Dial, Duration, numbers
from aebuild.lang.terms import Role


class LrSchedule(Part):
    """One of torch's learning-rate schedules, stepped once an epoch or a step."""

    family = "lr_schedule"
    each: ClassVar[Literal["epoch", "step"]] = "epoch"
    torch_class: ClassVar[str] = ""                             # in torch.optim.lr_scheduler

    def options(self, rate: Any, epochs: Any, steps: Any) -> dict[str, Any]:
        """What torch's class is called with beside the optimiser, of which `rate` is the learning rate.

        The three are only handed on, so that names of variables may stand for them in a program that is written.
        """
        raise TypeError(f"{type(self).__name__} has no schedule")

    def build_schedule(self, optimizer: Any, epochs: int, steps: int) -> Any:
        """The torch.optim.lr_scheduler object."""
        from torch.optim import lr_scheduler

        options = self.options([float(group["lr"]) for group in optimizer.param_groups], epochs, steps)
        return getattr(lr_scheduler, self.torch_class)(optimizer, **options)


class Optimizer(Part):
    """One of torch's optimisers, under torch's names."""

    family = "optimizer"
    foreign = {"learning_rate": "lr", "rate": "lr", "scheduler": "schedule", "lr_scheduler": "schedule", "l2": "weight_decay",
               "decay": "weight_decay"}
    default_variant = "adam"
    scalar = "lr"
    slots: ClassVar[int] = 2          # numbers it keeps for each parameter

    lr: Dial = knob(1e-3, "learning rate; a number or a schedule", affects="training")
    schedule: LrSchedule | None = Field(None, description="one of torch's learning-rate schedules, on top of lr")

    @field_validator("lr")
    @classmethod
    def _positive(cls, lr: Dial) -> Dial:
        if min(numbers(lr), default=-1) < 0 or max(numbers(lr)) == 0:
            raise ValueError("a learning rate is positive; only a schedule may start or end at 0")
        return lr

    def build_optimizer(self, params: Seq[Any]) -> Any:
        """The torch.optim object."""
        raise TypeError(f"{type(self).__name__} has no optimiser")


class Player(Part):
    """A set of parameters that minimises its own terms."""

    example = ("latent: {type: adversarial, dim: 2}\n"
               "train: {steps: 4, batch_size: 10, players: {discriminator: {steps: 2, clip: 0.1, optimizer: {lr: 0.01}}}}")
    optimizer: Optimizer | None = Field(None, description="its optimiser; the phase's if absent")
    clip: float | None = knob(None, "largest gradient norm; the phase's if absent", affects="gradient", gt=0)
    steps: int = knob(1, "updates of this player for each batch", affects="training", ge=1)


class Average(Part):
    """Averaging of the weights: what is judged, kept and evaluated is their average over the steps.

    With `decay` d it is exponential, a ← d·a + (1 − d)·w after each step, else the mean of all steps (Polyak and Juditsky, 1992). The
    weights that are trained are not touched by it; running statistics and codebook averages stay those of the training.
    """

    example = ("data: {type: wine, limit: 40}\n"
               "train: {steps: 6, batch_size: 20, average: {decay: 0.6, after: 30%}}\n"
               "---\n"
               "data: {type: wine, limit: 40}\n"
               "train: {batch_size: 20, average: 0.9, phases: [main: {steps: 3, average: {after: 1 steps}}, main: {steps: 3}]}")
    scalar = "decay"
    foreign = dict.fromkeys(("ema", "momentum", "beta", "ema_decay"), "decay") | dict.fromkeys(("start", "begin", "warmup"), "after")
    decay: float | None = knob(None, "share of the average that a step leaves as it is; none: the mean of all steps", affects="training",
                               ge=0, lt=1)
    after: Duration | None = knob(None, "how long the phase is trained before it begins", affects="training")


class Judge(Part):
    """The figure by which epochs are judged, instead of the loss: which one is best, when `patience` runs out.

    A term or a metric of the validation split under its name. The score of an epoch is that figure, negated where the highest is best.
    """

    example = ("data: {type: wine, limit: 60}\n"
               "latent: {type: gaussian, dim: 2}\n"
               "train: {epochs: 8, batch_size: 20, judge: {by: active_units, best: highest}, patience: 2}")
    scalar = "by"
    foreign = {**dict.fromkeys(("metric", "monitor", "name", "figure"), "by"), **dict.fromkeys(("mode", "direction"), "best"),
               "min": "lowest", "max": "highest"}
    by: str = knob(..., "name of a term or metric, such as reconstruction, usage or digit_accuracy", examples=["reconstruction"],
                   affects="training")
    best: Literal["lowest", "highest"] | None = knob(None, "which way is better; by default a low term and a high metric",
                                                     affects="training")


class Start(Part):
    """Weights of another run that a phase begins with, wherever a tensor has the same path and shape."""

    example = "train: {batch_size: 10, phases: [main: {start: {run: runs/first, parts: [encoder]}, freeze: [encoder.0]}]}"
    scalar = "run"
    foreign = {"from": "run", "checkpoint": "run", "path": "run"}
    run: str = knob(..., "a run directory, relative to the spec; of its kept weights", examples=["runs/first"], affects="training")
    parts: list[str] = knob([], "paths whose weights are taken, all of which must fit, such as encoder; none: whatever fits",
                            affects="training")


class PhasePart(Part):
    """A stretch of training over some players and some data; what it leaves out it takes from `train`."""

    family = "phase"
    data: ClassVar[Literal["samples", "codes"]] = "samples"     # what its batches are made of
    plays: ClassVar[str] = "main"                               # the players of which kind of phase it trains

    epochs: int | None = knob(None, "passes over the training data", affects="training", ge=1)
    steps: int | None = knob(None, "optimiser steps instead of epochs", affects="training", ge=1)
    patience: int | None = knob(None, "epochs without a better validation score after which it ends", affects="training", ge=1)
    batch_size: int | None = knob(None, "samples per step", affects="training", ge=1)
    optimizer: Optimizer | None = Field(None, description="one of torch's optimisers")
    clip: float | None = knob(None, "largest gradient norm", affects="gradient", gt=0)
    players: dict[str, Player] = Field(default_factory=dict, description="options of single players")
    freeze: list[str] = knob([], "paths of the model that it leaves as they are, such as encoder or encoder.0", affects="training")
    start: Start | None = Field(None, description="another run whose kept weights it begins with")
    average: Average | None = Field(None, description="average the weights over the steps")
    judge: Judge | None = Field(None, description="the figure by which epochs are judged")
    rates: dict[str, float] = knob({}, "factors of the learning rate at paths of the model and below them, such as encoder: 0.1",
                                   affects="training")

    @field_validator("rates")
    @classmethod
    def _factors(cls, rates: dict[str, float]) -> dict[str, float]:
        if any(factor <= 0 for factor in rates.values()):
            raise ValueError("a factor of a learning rate is positive; `freeze` leaves weights as they are")
        return rates

    def roles(self, roles: Seq[Role]) -> list[Role]:
        """Who plays in it, of all players of the model."""
        return [role for role in roles if role.phase == self.plays]

    def stretches(self, depth: int) -> list[tuple[str, tuple[int, str] | None]]:
        """Names of the stretches it consists of, and the pair of layers each trains; `depth` counts the pairs."""
        raise TypeError(f"{type(self).__name__} has no stretches")
