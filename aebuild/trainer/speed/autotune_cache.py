"""Execution plans that were measured before: the same model on the same machine is not measured twice."""

from __future__ import annotations

import hashlib
import json
import platform
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from aebuild.lang.cache import cache_folder
from aebuild.lang.diagnostics import AebuildError
from aebuild.lang.regular_files import read_regular
from aebuild.trainer.device import describe_device
from aebuild.trainer.run_dir.atomic_files import replace_file
from aebuild.trainer.run_dir.records import LIMIT, ExecutionRecord, decoded, held
from aebuild.trainer.speed.execution import Execution, processor

if TYPE_CHECKING:
    from aebuild.compile.plan import PhasePlan, Plan


def place_of(plan: Plan, phase: PhasePlan, device: torch.device, processes: int, asked: str) -> Path:
    """The file for what decides how fast a plan is: the model, batch and optimisers, the machine, the versions."""
    told: dict[str, Any] = {
        "asked": asked, "nodes": plan.to_json()["nodes"], "terms": [term.name for term in plan.terms], "batch": phase.batch_size,
        "players": [(player.name, player.steps, player.optimizer.variant_name()) for player in phase.players],
        "device": describe_device(device), "processor": processor(), "platform": platform.machine(), "torch": torch.__version__,
        "processes": processes}
    return cache_folder() / "plans" / f"{hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:32]}.json"


def recall(place: Path) -> Execution | None:
    """What was measured before; None where nothing was, or the file is damaged."""
    try:
        return Execution.from_json(held(ExecutionRecord, decoded(read_regular(place, LIMIT), place.name), place.name).execution)
    except (OSError, ValueError, AebuildError):
        return None


def remember(place: Path, choice: dict[str, Any]) -> None:
    """Keeps a choice for the next training; where the folder cannot be written, that measures again."""
    with suppress(OSError, AebuildError):
        place.parent.mkdir(parents=True, exist_ok=True)
        replace_file(place, json.dumps(choice).encode())
