"""New samples through a trained model, batch by batch, the same numbers each time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from aebuild.modules.randomness import derive, random_modules
from aebuild.results.inference.chunks import Carried
from aebuild.trainer.batches.loader import SplitLoader, batch_bounds
from aebuild.trainer.phase import passes as bounds_of
from aebuild.trainer.phase import reseed_all

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aebuild.lang.splits import Split
    from aebuild.modules.code import Code
    from aebuild.modules.outputs import Batch
    from aebuild.results.trained_run import TrainedRun

Progress = Callable[[int, int], object]


def unseen(done: int, whole: int) -> None:
    """Nobody looks."""


@dataclass
class Pass:
    """One batch through the encoder: samples `start` to `stop`, their code, and what modules left for the decoder.

    `value` is the code that stands for each sample: of a variational one the mean of the posterior, or `draws` draws a sample.
    """

    start: int
    stop: int
    batch: Batch
    code: Code
    value: Tensor
    context: dict[str, Any]


@torch.no_grad()
def encoded(run: TrainedRun, split: Split, *, draws: int | None = None, progress: Progress = unseen) -> Iterator[Pass]:
    """Each batch of a split through the encoder, in order.

    Chunks of longer samples go one by one, and the decoder goes on as the encoder does, as long as this is not asked for the next.
    """
    chunks = split.chunks
    if chunks is None:
        yield from _encoded(run, split, bounds_of(run.plan, run.plan.model_phase, len(split)), draws, progress)
        return
    with Carried(run) as carried:
        alone = [(row, row + 1) for row in range(len(split))]
        yield from _encoded(run, split, alone, draws, progress, lambda row: carried.begin() if chunks.begins[row] else None)


def _encoded(run: TrainedRun, split: Split, bounds: list[tuple[int, int]], draws: int | None, progress: Progress,
             before: Callable[[int], object] = lambda row: None) -> Iterator[Pass]:
    """The same in these batches; `before` is told the first row of each."""
    model = run.model
    randoms, seed = random_modules(model), derive(run.plan.spec.train.seed, "inference")
    loader = SplitLoader(split, next(model.parameters()).device)
    for number, ((start, stop), batch) in enumerate(zip(bounds, _batches(loader, bounds), strict=True)):
        before(start)
        reseed_all(randoms, seed, number)
        context = batch.context()
        features = model.features(model.corrupt(batch.x, context), context)
        code = model.code_of(features, batch.x, context, draws)
        value = code.value if draws is not None or code.posterior is None else code.posterior.mean
        yield Pass(start, stop, batch, code, value, context)
        progress(stop, len(split))


def _batches(loader: SplitLoader, bounds: list[tuple[int, int]]) -> Iterator[Batch]:
    if loader.streamed:
        return loader.batches(torch.arange(start, stop) for start, stop in bounds)
    return loader.passing(bounds)


@torch.no_grad()
def decoded(run: TrainedRun, codes: Tensor, conditions: NDArray[np.float32] | None = None, seed: int | None = None) -> Iterator[Tensor]:
    """The expected data of codes [n, *shape], or of a discrete latent's indices [n, width], in batches; told `conditions` [n, F].

    What a decoder draws on the way (values place by place, noise) it draws by `seed`, the same each time.
    """
    model = run.model
    device = next(model.parameters()).device
    randoms, seed = random_modules(model), derive(run.plan.spec.train.seed, "inference") if seed is None else seed
    for number, (start, stop) in enumerate(batch_bounds(len(codes), 4 * run.plan.model_phase.batch_size)):
        reseed_all(randoms, seed, number)
        part = codes[start:stop].to(device)
        told = None if conditions is None else torch.from_numpy(conditions[start:stop]).to(device)
        yield model.decode(part if part.is_floating_point() else model.latent.code_from(part).value, conditions=told)
