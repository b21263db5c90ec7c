"""Training in the way that was chosen, and what happens when that way fails."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from aebuild.modules.collectives import CrossSampleError
from aebuild.trainer.device import out_of_memory
from aebuild.trainer.speed.choice import FILE, Choice, asked
from aebuild.trainer.speed.cpu_replicas import replicable
from aebuild.trainer.speed.execution import HALVES, Execution, exact

if TYPE_CHECKING:
    from aebuild.trainer.loop import Trainer


def train_with_fallback(trainer: Trainer, execution: Execution) -> None:
    """Trains in this way; what fails of it is left behind, said and stored, and training goes on from the last checkpoint."""
    if execution.workers > 1 and (why := _no_workers(trainer)):
        execution = execution.but(workers=1, threads=execution.threads * execution.workers)
        trainer.say(f"{why}: training with {execution} instead")
    trainer.meter.dtype = torch.bfloat16 if execution.precision == "bfloat16" else torch.float32
    try:
        following, why = _tried(trainer, execution)
        while following is not None:
            trainer.say(f"{why}: going on from the last checkpoint with {following}")
            trainer.run.write(FILE, Choice(following, why, asked(trainer.plan)).to_json())
            trainer.resume()
            following, why = _tried(trainer, following)
    finally:
        exact(trainer.device).prepare(trainer.model)


def _no_workers(trainer: Trainer) -> str:
    """Why the batch cannot be shared among threads; empty if it can."""
    if trainer.group.size > 1 or trainer.device.type != "cpu":
        return "workers share the cores of one process"
    return "" if replicable(trainer.model) else "a layer of this model does without workers"


@contextmanager
def computed_by(trainer: Trainer, execution: Execution) -> Iterator[None]:
    """While entered, the trainer computes in this way."""
    execution.prepare(trainer.model)
    trainer.parts, trainer.workers = execution.accumulate, execution.workers
    with execution.applied():
        yield


def _tried(trainer: Trainer, execution: Execution) -> tuple[Execution | None, str]:
    """Trains to the end, or says what to try instead and why; what cannot be helped is raised."""
    try:
        with computed_by(trainer, execution):
            if execution.accumulate > 1 and any(isinstance(module, _BatchNorm) for module in trainer.model.modules()):
                raise CrossSampleError("batch normalisation needs the whole batch")
            trainer.loop()
            return None, ""
    except (MemoryError, RuntimeError) as error:
        following, why = _instead(trainer, execution, error)
        if following is None:
            raise
        error.__traceback__ = None          # it holds the tensors of the failed step
    gc.collect()
    if trainer.device.type == "cuda":
        torch.cuda.empty_cache()
    return following, why


def _instead(trainer: Trainer, execution: Execution, error: Exception) -> tuple[Execution | None, str]:
    if execution.compiler != "none" and type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
        reason = (str(error).strip().splitlines() or [""])[0]
        return execution.but(compiler="none"), f"the compiler failed ({type(error).__name__}: {reason})"
    if trainer.group.size > 1 or not (out_of_memory(error) or isinstance(error, CrossSampleError)):
        return None, ""
    if execution.workers > 1:
        why = f"workers cannot share the batch ({error})" if isinstance(error, CrossSampleError) else "memory is too small for workers"
        return execution.but(workers=1, threads=execution.threads * execution.workers), why
    why = "memory is too small for the batch"
    if isinstance(error, CrossSampleError):
        return execution.but(accumulate=1, recompute=HALVES), f"{why}, and its samples meet in this model"
    if 2 * execution.accumulate <= max(phase.batch_size for phase in trainer.plan.phases) and execution.recompute != HALVES:
        return execution.but(accumulate=2 * execution.accumulate), why
    return None, ""
