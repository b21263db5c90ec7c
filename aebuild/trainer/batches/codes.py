"""What priors learn from: codes of a split, streamed or kept as the batches of a phase, and samples that they begin with."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from aebuild.modules.outputs import Batch
from aebuild.modules.randomness import derive, random_modules
from aebuild.trainer.batches.loader import SplitLoader
from aebuild.trainer.batches.sampler import order_of
from aebuild.trainer.phase import passes, reseed_all

if TYPE_CHECKING:
    from aebuild.compile.plan import Plan
    from aebuild.lang.splits import Split
    from aebuild.modules.autoencoder import Autoencoder


class Codes:
    """What a prior over the codes of a split learns from, in blocks [n, *shape], encoded anew each time it is gone through.

    The model encodes in evaluation mode, with the same noise each time.
    """

    def __init__(self, plan: Plan, model: Autoencoder, feed: SplitLoader) -> None:
        self._plan, self._model, self._feed = plan, model, feed

    def __iter__(self) -> Iterator[Tensor]:
        self._model.eval()
        randoms, latent = random_modules(self._model), self._model.latent
        for number, batch in enumerate(self._feed.passing(passes(self._plan, self._plan.phases[-1], self._feed.samples))):
            with torch.no_grad():
                reseed_all(randoms, derive(self._plan.spec.train.seed, "codes"), number)
                codes: Tensor = latent.codes_of(self._model.encode(batch.x, batch.lengths, batch.conditions))
            yield codes


class CodesLoader:
    """The codes of a split as batches, in main memory in the smallest type that holds them; a batch's `x` and `target` are codes."""

    streamed = False

    def __init__(self, codes: Codes, classes: int | None, device: torch.device) -> None:
        small = None if classes is None else next(kind for kind in (torch.uint8, torch.int16, torch.int32)
                                                  if torch.iinfo(kind).max >= classes - 1)
        self._codes = torch.cat([block.to("cpu", small) for block in codes])
        self._kind = self._codes.dtype if classes is None else torch.int64
        self.device = device
        self.samples = len(self._codes)

    def shuffled(self, seed: int, phase: str, epoch: int) -> Tensor:
        """The order of one pass."""
        return order_of(self.samples, seed, phase, epoch)

    def batches(self, indices: Iterable[Tensor]) -> Generator[Batch]:
        """The batches of these indices, one after the other."""
        for index in indices:
            yield self._batch(self._codes[index])

    def passing(self, bounds: Iterable[tuple[int, int]]) -> Iterator[Batch]:
        """The batches of a pass in an order that is always the same."""
        for start, stop in bounds:
            yield self._batch(self._codes[start:stop])

    def take(self, index: Tensor) -> Batch:
        """The codes of these samples."""
        return self._batch(self._codes[index])

    def slice(self, start: int, stop: int) -> Batch:
        """Consecutive codes."""
        return self._batch(self._codes[start:stop])

    def _batch(self, codes: Tensor) -> Batch:
        x = codes.to(self.device, self._kind)
        return Batch(x, x)


@torch.no_grad()
def give_samples(plan: Plan, model: Autoencoder, train: Split) -> None:
    """Gives the prior as many samples as it wants to hold, drawn by the seed and the prior's own name, as the encoder takes them."""
    prior, seed = model.latent.prior, plan.spec.train.seed
    if not prior.held:
        return
    loader = SplitLoader(train, torch.device("cpu"))
    chosen = order_of(loader.samples, seed, "prior", 0)[:prior.held]
    was = model.training
    reseed_all(random_modules(model), seed, 0)
    samples = model.eval().corrupt(loader.take(chosen).x)
    model.train(was)
    prior.begin(samples.to(model.latent.device))
