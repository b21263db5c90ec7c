"""What was not finite first: the steps since the last checkpoint, repeated under watch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aebuild.lang.diagnostics import DivergedError
from aebuild.trainer.nonfinite import Fault, Watch, diverged
from aebuild.trainer.running_means import finite

if TYPE_CHECKING:
    from aebuild.trainer.loop import Trainer
    from aebuild.trainer.phase import ActivePhase


def diagnosed(trainer: Trainer, active: ActivePhase, judged: dict[str, float] | None = None) -> DivergedError:
    """The error that ends a training whose numbers, or those of its validation, are not finite."""
    trainer.say("NaN or infinity: repeating the steps since the last checkpoint to find where it began")
    noticed, place = trainer.progress.total, trainer.place(active)
    trainer.vault.save_best()
    kept = f"the last good checkpoint is kept: {trainer.run.folder / 'checkpoints'}"
    if judged is not None:
        bad = next(name for name, value in judged.items() if not finite({name: value}))
        return diverged(f"on the validation split after {place}", Fault("autoencoder", "a mean", None, bad), active, kept)
    fault = _replay(trainer, noticed)
    return diverged(f"in {trainer.place(trainer.active or active)}" if fault else f"in or before {place}", fault, active, kept)


def _replay(trainer: Trainer, until: int) -> Fault | None:
    """The first fault on the way from the last checkpoint to this batch, if it comes again."""
    trainer.vault.take_up()
    with Watch(trainer.model) as trainer.watch:
        try:
            trainer.loop(until)
        except Fault as fault:
            return fault
    return None
