"""Which way a training is computed, and what happens when that way fails."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch

from aebuild.lang.diagnostics import CheckpointError, Diagnostic, Rule
from aebuild.trainer.choice import Choice, Tuner, asked
from aebuild.trainer.execution import Execution, exact

if TYPE_CHECKING:
    from pathlib import Path

    from aebuild.trainer.loop import Trainer

FILE = "execution.json"
NO_EXECUTION = Rule("AE508", "the run holds no execution plan", """
`train.speed: auto` measures ways to compute a training and stores the one it took in `execution.json`. `--plan RUN` trains
another spec, or the same one again, in the very same way, so that the bits are the same. The named folder has no such file, or
it is damaged.

```console
$ aebuild train specs/vae.yaml --plan specs                        # no run: refused
$ aebuild train specs/vae.yaml --plan runs/vae-20260102-030405     # computed like that run
```
""")


def stored(folder: Path) -> Choice:
    """The choice of a run; CheckpointError if it has none."""
    try:
        told = json.loads((folder / FILE).read_bytes())
        return Choice(Execution.from_json(told["execution"]), "as before", str(told["asked"]))
    except OSError as error:
        reason = error.strerror or type(error).__name__
    except (ValueError, KeyError, TypeError, AttributeError):
        reason = "it is not what aebuild writes"
    raise CheckpointError(Diagnostic(NO_EXECUTION, f"cannot take the execution plan of {folder / FILE}: {reason}",
                                     fix="name the directory of a run, or leave --plan out"))


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
        choice = Tuner(trainer.plan, trainer.model, trainer.feed, trainer.trainable, lambda: trainer.signals.caught is not None,
                       trainer.group).choose()
    run.write(FILE, choice.to_json())
    for trial in choice.trials:
        run.log(f"speed: {trial}")
    if choice.trials:
        trainer.say(str(choice))
    return choice.execution


def carry_out(trainer: Trainer, execution: Execution) -> None:
    """Trains in this way; if its compiler fails, says so and goes on without from the last checkpoint."""
    execution.prepare(trainer.model)
    trainer.meter.dtype = torch.bfloat16 if execution.precision == "bfloat16" else torch.float32
    try:
        with execution.applied():
            trainer.loop()
    except RuntimeError as error:
        if execution.compiler == "none" or not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            raise
        plain = execution.but(compiler="none")
        reason = (str(error).strip().splitlines() or [""])[0]
        trainer.say(f"speed: the compiler failed ({type(error).__name__}: {reason}); going on without it from the last checkpoint")
        trainer.run.write(FILE, Choice(plain, "the compiler failed", asked(trainer.plan)).to_json())
        trainer.resume()
        carry_out(trainer, plain)
    finally:
        exact(trainer.device).prepare(trainer.model)
