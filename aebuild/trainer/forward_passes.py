"""The forward passes of a batch, and who shares them."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor

from aebuild.modules.autoencoder import Autoencoder, Pair
from aebuild.modules.collectives import present
from aebuild.modules.outputs import Batch, Outputs
from aebuild.modules.stage import unlearned


class Passes:
    """The forward passes of a batch: who sends a gradient through the model makes one, who only looks at its outputs shares the last.

    What modules learn of a batch (running statistics, codebook averages) they learn in its first pass. Where a phase trains on
    codes a batch is made of codes, and no pass is needed.
    """

    def __init__(self, model: Autoencoder, pair: Pair | None, draws: int | None, *, shared: bool, codes: bool) -> None:
        self._model, self._pair, self._draws, self._shared, self._codes = model, pair, draws, shared, codes
        self._last: dict[int, Outputs | None] = {}          # of each part of the batch; None where nobody shares it

    def begin(self) -> None:
        """A new batch."""
        self._last.clear()

    def losses(self, batch: Batch, names: tuple[str, ...], *, through: bool) -> tuple[dict[str, Tensor], Outputs]:
        """A player's raw terms, and the pass that they read."""
        part = present()
        number = 0 if part is None else part.rank
        first, last = number not in self._last, self._last.get(number)
        if self._codes:
            return self._looking(Outputs(batch, self._model.latent.code_from(batch.x)), names)
        if not through and last is not None:
            return self._looking(last, names)
        with nullcontext() if first else unlearned(self._model):
            if through:
                raw, made = self._model.run_losses(batch, names, self._pair, self._draws)
            else:
                with torch.no_grad():
                    made = self._model.run(batch, self._pair, self._draws)
        if not first:
            made.metrics = {}                        # those of the first pass are logged
        self._last[number] = made.detached() if self._shared else None
        return (raw, made) if through else self._looking(made, names)

    def _looking(self, outputs: Outputs, names: tuple[str, ...]) -> tuple[dict[str, Tensor], Outputs]:
        outputs = outputs.detached()
        return self._model.losses(outputs, names), outputs
