"""Which way a training is computed, and what happens when that way fails."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from aebuild.lang.diagnostics import CheckpointError, Diagnostic, Hint, Rule
from aebuild.lang.regular_files import read_regular
from aebuild.modules.collectives import Mixed
from aebuild.trainer.device import out_of_memory
from aebuild.trainer.run_dir.records import LIMIT, ExecutionRecord, decoded, held
from aebuild.trainer.speed.autotune import Choice, Tuner, asked
from aebuild.trainer.speed.execution import HALVES, Execution, exact

if TYPE_CHECKING:
    from pathlib import Path

    from aebuild.trainer.loop import Trainer

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


def settle(trainer: Trainer, *, resume: bool, given: Execution | None) -> Execution:
    """The way to compute: the one given, that of the resumed run, exact, or the fastest of those measured.

    It is stored in the run and said. Of several processes the first one decides.
    """
    told: dict[str, Any] | None = None
    if trainer.group.first:
        told = _settled(trainer, resume=resume, given=given).to_json()
    return Execution.from_json(trainer.group.spread(told, trainer.device))


def _settled(trainer: Trainer, *, resume: bool, given: Execution | None) -> Execution:
    run, device, spec = trainer.run, trainer.device, trainer.plan.spec.train
    wanted = asked(trainer.plan)
    if given is not None:
        choice = Choice(given, "as given", wanted)
    elif resume and (run.folder / FILE).exists() and (before := stored(run.folder)).asked == wanted:
        return before.execution
    elif spec.speed == "exact" or trainer.group.sharded:
        reason = "as the spec wants" if spec.speed == "exact" else "a sharded model is not copied"
        choice = Choice(exact(device, spec.recompute), reason, wanted)
    else:
        try:
            choice = Tuner(trainer.plan, trainer.model, trainer.feed, trainer.trainable, lambda: trainer.signals.caught is not None,
                           trainer.group).choose()
        except Exception as error:       # what exact trains is trained, whatever becomes of measuring
            why = "there is no memory for a copy to measure" if out_of_memory(error) else f"measuring failed: {_short(error)}"
            choice = Choice(exact(device, spec.recompute), why, wanted)
            trainer.say(str(choice))
    run.write(FILE, choice.to_json())
    for trial in choice.trials:
        run.log(f"speed: {trial}")
    if choice.trials or choice.reason.startswith("measured before"):
        trainer.say(str(choice))
    return choice.execution


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:200]}"


def carry_out(trainer: Trainer, execution: Execution) -> None:
    """Trains in this way; what fails of it is left behind, said and stored, and training goes on from the last checkpoint."""
    if execution.workers > 1 and (trainer.group.size > 1 or trainer.device.type != "cpu"):
        execution = execution.but(workers=1, threads=execution.threads * execution.workers)
        trainer.say(f"workers share the cores of one process: training with {execution} instead")
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


@contextmanager
def engaged(trainer: Trainer, execution: Execution) -> Iterator[None]:
    """While entered, the trainer computes in this way."""
    execution.prepare(trainer.model)
    trainer.parts, trainer.workers = execution.accumulate, execution.workers
    with execution.applied():
        yield


def _tried(trainer: Trainer, execution: Execution) -> tuple[Execution | None, str]:
    """Trains to the end, or says what to try instead and why; what cannot be helped is raised."""
    try:
        with engaged(trainer, execution):
            if execution.accumulate > 1 and any(isinstance(module, _BatchNorm) for module in trainer.model.modules()):
                raise Mixed("batch normalisation needs the whole batch")
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
    if trainer.group.size > 1 or not (out_of_memory(error) or isinstance(error, Mixed)):
        return None, ""
    if execution.workers > 1:
        why = f"workers cannot share the batch ({error})" if isinstance(error, Mixed) else "memory is too small for workers"
        return execution.but(workers=1, threads=execution.threads * execution.workers), why
    why = "memory is too small for the batch"
    if isinstance(error, Mixed):
        return execution.but(accumulate=1, recompute=HALVES), f"{why}, and its samples meet in this model"
    if 2 * execution.accumulate <= max(phase.batch_size for phase in trainer.plan.phases) and execution.recompute != HALVES:
        return execution.but(accumulate=2 * execution.accumulate), why
    return None, ""
