"""How long a training is whose spec does not say it."""

from __future__ import annotations

from aebuild.compile.spec import Spec
from aebuild.lang.training import PhasePart

EPOCHS = 20
STEPS = 2000          # at least: small data pass in few batches, and no model learns in 40 steps; see docs/training.md


def unsaid(spec: Spec) -> list[PhasePart]:
    """The phases whose length is written nowhere."""
    train = spec.train
    bare = train.epochs is None and train.steps is None
    return [phase for phase in train.phases if bare and phase.epochs is None and phase.steps is None]


def usual_epochs(spec: Spec, samples: int | None, least: int | None = None) -> int:
    """Epochs where none are written: 20, or as many as `least` (STEPS) need. `samples` are None where no header tells them."""
    return EPOCHS if not samples else max(EPOCHS, -(-(STEPS if least is None else least) // batches(samples, spec.train.batch_size)))


def batches(samples: int, size: int) -> int:
    """Steps of a pass over the data; a single sample that is left over joins the batch before it."""
    whole, rest = divmod(samples, size)
    return max(1, whole + (rest > (size > 1)))


def said(spec: Spec, samples: int) -> Spec:
    """The spec with the length that it leaves open written down, as its run keeps it."""
    return spec.but(train=spec.train.but(epochs=usual_epochs(spec, samples))) if unsaid(spec) else spec
