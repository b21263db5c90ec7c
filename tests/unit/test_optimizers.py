"""Optimisers and schedules: torch's, under torch's names, every number alive."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from aebuild.lang.schedule import Ramp
from aebuild.lang.training import LrSchedule, Optimizer
from aebuild.parts import discover

discover()
CLASSES = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD, "rmsprop": torch.optim.RMSprop}
SCHEDULES: dict[str, tuple[Any, dict[str, Any]]] = {
    "step": (torch.optim.lr_scheduler.StepLR, {"step_size": 2}),
    "multistep": (torch.optim.lr_scheduler.MultiStepLR, {"milestones": [2, 5]}),
    "exponential": (torch.optim.lr_scheduler.ExponentialLR, {"gamma": 0.8}),
    "cosine": (torch.optim.lr_scheduler.CosineAnnealingLR, {"T_max": 6}),
    "one_cycle": (torch.optim.lr_scheduler.OneCycleLR, {}),
}


def path(part: Any, steps: int = 6) -> list[float]:
    """A weight's way under an ill-scaled quadratic."""
    weight = nn.Parameter(torch.tensor([1.0, -2.0]))
    optimizer = part.build_optimizer([weight])
    seen = []
    for step in range(steps):
        weight.grad, = torch.autograd.grad((weight * torch.tensor([3.0, 0.1])).square().sum() * (1 if step % 2 else 0.1), weight)
        optimizer.step()
        seen += weight.tolist()
    return seen


@pytest.mark.parametrize("name", CLASSES)
def test_defaults_and_names_are_torchs(name: str) -> None:
    part = Optimizer.variants[name]()
    signature = inspect.signature(CLASSES[name]).parameters
    for field in ({name for name in type(part).model_fields if name != "type"}) - {"lr", "schedule"}:
        default = signature[field].default
        assert getattr(part, field) == (list(default) if isinstance(default, tuple) else default)
    assert isinstance(part.build_optimizer([nn.Parameter(torch.zeros(1))]), CLASSES[name])  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", CLASSES)
def test_every_number_of_an_optimiser_is_alive(name: str) -> None:
    momentum = {"momentum": 0.5} if name in ("sgd", "rmsprop") else {}
    part = Optimizer.variants[name].model_validate({"lr": 0.01, **momentum})
    for field in ({name for name in type(part).model_fields if name != "type"}) - {"schedule"}:
        value = getattr(part, field)
        for other in ([[0.5, value[1]], [value[0], 0.5]] if isinstance(value, list) else
                      [not value] if isinstance(value, bool) else [0.3 if value < 0.1 else value / 2]):
            steps = 30 if field == "amsgrad" else 6
            changed = type(part).model_validate({**part.model_dump(), field: other})
            assert path(changed, steps) != path(part, steps), (field, other)


def test_the_first_rate_of_a_schedule() -> None:
    ramp = Ramp.model_validate({"from": 0.5, "to": 0.1})
    for lr in (ramp, [ramp, ramp]):
        part = Optimizer.variants["sgd"].model_validate({"lr": lr})
        assert part.build_optimizer([nn.Parameter(torch.zeros(1))]).param_groups[0]["lr"] == 0.5  # type: ignore[attr-defined]


@pytest.mark.parametrize("wrong", [{"lr": 0.0}, {"lr": -1.0}, {"lr": []}, {"betas": [0.9]}, {"betas": [0.9, 1.0]},
                                   {"momentum": 0.1}])
def test_adam_refuses(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Optimizer.variants["adam"].model_validate(wrong)


@pytest.mark.parametrize(("wrong", "message"), [
    ({"nesterov": True}, "without momentum"), ({"dampening": 0.1}, "without momentum"),
    ({"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "dampening 0")])
def test_sgd_refuses_what_would_do_nothing(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Optimizer.variants["sgd"].model_validate(wrong)


def rates(schedule: Any, count: int = 12) -> list[tuple[float, float]]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1, momentum=0.5)
    follow = schedule(optimizer)
    seen = []
    for _ in range(count):
        seen.append((optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]))
        optimizer.step()
        follow.step()
    return seen


def followed(part: Any, epochs: int = 6, steps: int = 12) -> list[tuple[float, float]]:
    return rates(lambda optimizer: part.build_schedule(optimizer, epochs, steps))


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_are_torchs(name: str) -> None:
    torchs, fields = SCHEDULES[name]
    part = LrSchedule.variants[name].model_validate(fields)
    ours = followed(part)
    extra = {"max_lr": 0.1, "total_steps": 12} if name == "one_cycle" else {}
    assert ours == rates(lambda optimizer: torchs(optimizer, **fields, **extra))
    assert part.each == ("step" if name == "one_cycle" else "epoch")  # type: ignore[attr-defined]


def test_cosine_spans_the_phase_by_default() -> None:
    cosine = LrSchedule.variants["cosine"]
    assert followed(cosine()) == followed(cosine.model_validate({"T_max": 6}))


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_number_of_a_schedule_is_alive(name: str) -> None:
    part = LrSchedule.variants[name].model_validate(SCHEDULES[name][1])
    for field in {name for name in type(part).model_fields if name != "type"}:
        value = getattr(part, field)
        other: Any = {"anneal_strategy": "linear", "milestones": [3, 5]}.get(field)
        if other is None:
            other = not value if isinstance(value, bool) else value + 2 if isinstance(value, int) else value / 2 or 0.01
        changed = type(part).model_validate({**part.model_dump(), field: other})
        assert followed(changed) != followed(part), field


def test_one_cycle_refuses_a_dead_momentum() -> None:
    with pytest.raises(ValidationError, match="no meaning without cycle_momentum"):
        LrSchedule.variants["one_cycle"].model_validate({"cycle_momentum": False, "base_momentum": 0.5})
