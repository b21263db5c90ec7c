"""What was chosen to compute a training with: as a run keeps it, and as it is remembered for the next one."""

from __future__ import annotations

import hashlib
import json
import platform
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from aebuild.lang.cache import cache_folder
from aebuild.lang.diagnostics import AebuildError, CheckpointError, Diagnostic, Hint, Rule
from aebuild.lang.regular_files import read_regular
from aebuild.trainer.device import describe_device
from aebuild.trainer.run_dir.atomic_files import replace_file
from aebuild.trainer.run_dir.records import LIMIT, ExecutionRecord, decoded, held
from aebuild.trainer.speed.execution import Execution, processor

if TYPE_CHECKING:
    from aebuild.compile.plan import PhasePlan, Plan

FILE = "execution.json"
NO_EXECUTION = Rule("AE508", "the run holds no execution plan", """
`train.speed: auto` measures ways to compute a training and stores the one it took in `execution.json`. `--plan RUN` trains
another spec, or the same one again, in the very same way, so that the bits are the same. The named folder has no such file, or
it is damaged.

```console
$ aebuild train vae --plan specs                        # no run: refused
$ aebuild train vae --plan runs/vae-20260102-030405     # computed like that run
```
""")


@dataclass(frozen=True)
class Trial:
    """A way that was tried: how many times as fast as the best before it, how far off exact, and what became of it."""

    name: str
    verdict: str
    speedup: float | None = None
    loss_error: float | None = None
    gradient_error: float | None = None

    def __str__(self) -> str:
        """One line for the log."""
        found = f", {self.speedup:.2f} times as fast" if self.speedup is not None else ""
        if self.loss_error is not None and self.gradient_error is not None:
            found += f"; loss off by {self.loss_error:.1e}, gradient by {self.gradient_error:.1e}"
        return f"{self.name}: {self.verdict}{found}"


@dataclass(frozen=True)
class Choice:
    """The plan that was taken, why, and what was tried; `asked` is what the spec wanted then."""

    execution: Execution
    reason: str
    asked: str
    speedup: float = 1.0
    milliseconds: float | None = None
    trials: tuple[Trial, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """As execution.json has it."""
        return {"asked": self.asked, "execution": self.execution.to_json(), "reason": self.reason, "speedup": self.speedup,
                "milliseconds": self.milliseconds, "trials": [vars(trial) for trial in self.trials]}

    def __str__(self) -> str:
        """One line for the user."""
        if self.milliseconds is None:
            return f"speed: {self.execution} ({self.reason})"
        return f"speed: {self.execution}, {self.speedup:.2f} times exact, {self.milliseconds:.3g} ms a batch ({self.reason})"


def asked(plan: Plan) -> str:
    """What a spec wants of the way to compute; where this changes on a resume, the choice is made again."""
    train = plan.spec.train
    return " ".join((train.device, train.speed, *train.recompute))


def stored(folder: Path) -> Choice:
    """The choice of a run; CheckpointError if it has none."""
    try:
        told = held(ExecutionRecord, decoded(read_regular(folder / FILE, LIMIT), FILE), FILE)
        return Choice(Execution.from_json(told.execution), "as before", told.asked)
    except OSError as error:
        reason = error.strerror or type(error).__name__
    except ValueError:
        reason = "it is not what aebuild writes"
    raise CheckpointError(Diagnostic(NO_EXECUTION, f"cannot take the execution plan of {folder / FILE}: {reason}",
                                     fix=Hint("name the directory of a run, or leave --plan out")))


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
