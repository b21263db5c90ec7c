"""Reconstructions of a few samples at moments of the training, to look at afterwards how they became what they are."""

from __future__ import annotations

from io import BytesIO
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from aebuild.modules.randomness import derive, random_modules
from aebuild.trainer.phase import reseed_all
from aebuild.trainer.run_dir.atomic_files import storing

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.compile.plan import Plan
    from aebuild.modules.autoencoder import Autoencoder
    from aebuild.trainer.batches.loader import SplitLoader
    from aebuild.trainer.run_dir.run import Run

FOLDER = "snapshots"
MOST = 1 << 19            # values of one snapshot; of large samples there are fewer
PACE = 1.35               # epochs between two moments grow by this factor: about twenty of a hundred epochs


def due(epoch: int) -> bool:
    """True for 1, 2, 3, 4, 6, 8, 11, ...: as often as much changes."""
    return epoch > 0 and any(round(PACE**power) == epoch for power in range(int(np.log(epoch + 1) / np.log(PACE)) + 2))


class Snapshots:
    """The first samples of the validation split, or of the training split where there is none, and where their pictures go."""

    def __init__(self, plan: Plan, run: Run, loader: SplitLoader) -> None:
        self.plan, self.run = plan, run
        count = min(plan.spec.evaluate.pictures, loader.samples, max(1, MOST // prod(plan.target.shape)))
        self.batch = loader.slice(0, count)

    @torch.no_grad()
    def take(self, model: Autoencoder, phase: str, epoch: int, step: int) -> None:
        """Writes `snapshots/STEP.npz` with the reconstructions as they are now, and the samples themselves where they are not there yet.

        The model is left in evaluation mode.
        """
        model.eval()
        reseed_all(random_modules(model), derive(self.plan.spec.train.seed, "snapshot"), 0)
        outputs = model.run(self.batch)
        target = self.batch.target.cpu().numpy()
        if not (self.run.folder / FOLDER / "samples.npz").exists():
            self._write("samples", target=target)
        self._write(f"{step:09}", reconstruction=outputs.reconstruction.cpu().numpy().astype(target.dtype), phase=np.array(phase),
                    epoch=np.array(epoch))

    def _write(self, name: str, **arrays: NDArray[Any]) -> None:
        stored = BytesIO()
        np.savez_compressed(stored, **arrays)  # type: ignore[arg-type]
        place = self.run.folder / FOLDER / f"{name}.npz"
        with storing(place):
            place.parent.mkdir(exist_ok=True)
            fresh = place.with_name(f".new-{place.name}")            # not waited for: a picture that a power cut takes is no loss
            fresh.write_bytes(stored.getvalue())
            fresh.replace(place)
