"""Samples that programs are checked with, and what the run itself makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from aebuild.data.lengths import beyond
from aebuild.lang.diagnostics import CheckpointError, DataError, Diagnostic, Hint, Rule
from aebuild.lang.values import Tokens
from aebuild.modules.lengths import silenced
from aebuild.results.export.halves import beside, has_gaps
from aebuild.results.inference.new_data import own_split
from aebuild.trainer.batches.loader import SplitLoader

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.data.new_samples import NewData
    from aebuild.lang.splits import Split
    from aebuild.results.trained_run import TrainedRun

NO_SAMPLES = Rule("AE535", "no samples to check an export with", """\
Programs are checked on the run's own test samples. Where these data are gone, name others of the same kind, or ask for drawn ones.

```console
$ aebuild export runs/vae --format onnx -o out                        # refused: its data are gone
$ aebuild export runs/vae --format onnx --data other.npy -o out
$ aebuild export runs/vae --format onnx --drawn -o out
```
""")
SAMPLES = 64


@dataclass(frozen=True)
class RawSamples:
    """Samples [n, ...] before scaling, and where series have lengths of their own how many places of each are real, [n].

    `conditions` [n, F] are what a conditioned model is told of them. `target` and `mask` are what is to be reproduced, as the model
    knows it, and which of its elements count, where that is not the samples themselves and all.
    """

    values: NDArray[Any]
    lengths: NDArray[np.int64] | None = None
    conditions: NDArray[np.float32] | None = None
    target: NDArray[Any] | None = None
    mask: NDArray[np.bool_] | None = None

    def of_length(self, places: int, axis: int) -> RawSamples:
        """The same with so many places on that axis: their beginning, or behind each sample its neighbours in the batch."""
        usual = self.values.shape[axis]
        times = -(-places // usual)
        longer = np.concatenate([np.roll(self.values, -turn, 0) for turn in range(times)], axis)
        cut = np.ascontiguousarray(longer.take(np.arange(places), axis))
        if self.lengths is None:
            return RawSamples(cut, None, self.conditions)
        grown = self.lengths if places <= usual else self.lengths * places // usual          # some reach into the places that were added
        lengths = np.clip(grown, 1, places)
        cut[beyond(cut, lengths)] = 0
        return RawSamples(cut, lengths, self.conditions)


@dataclass(frozen=True)
class Case:
    """What goes into a part of a run, and what comes out of it, [n, ...] each; `names` are those of the outputs."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    names: tuple[str, ...] = ("output",)

    def rows(self, start: int, stop: int | None) -> tuple[Tensor, ...]:
        """The inputs of some samples."""
        return tuple(x[start:stop] for x in self.inputs)


def checking_samples(run: TrainedRun, data: NewData | None, drawn: bool) -> RawSamples:
    """Of the run's test part, of `data`, or `drawn` at random; DataError where the run's own cannot be read."""
    if drawn:
        return _drawn(run)
    if data is None:
        try:
            data = own_split(run, "test")
        except (DataError, CheckpointError) as error:
            raise DataError(Diagnostic(NO_SAMPLES, f"programs are checked on the run's own samples, which cannot be read: {error}",
                                       fix=Hint("--data FILE names others, --drawn takes random ones"))) from error
    return first_samples(run, data.split)


def first_samples(run: TrainedRun, split: Split) -> RawSamples:
    """The first samples of a split as they were before scaling."""
    batch = SplitLoader(split, torch.device("cpu")).take(torch.arange(min(SAMPLES, len(split))))
    raw = run.scaling.undo(batch.x.numpy())
    told, mask = (None if held is None else held.numpy() for held in (batch.conditions, batch.mask))
    lengths = None if not run.info.ragged else np.full(len(raw), raw.shape[1]) if batch.lengths is None else batch.lengths.numpy()
    return RawSamples(raw, lengths, told, None if split.targets is None else batch.target.numpy(), mask)


def _drawn(run: TrainedRun) -> RawSamples:
    random, bounds, value = np.random.default_rng(0), run.info.range, run.plan.input
    shape = (SAMPLES, *value.shape)
    lengths = random.integers(1, value.places[0] + 1, SAMPLES) if run.info.ragged else None
    told = random.standard_normal((SAMPLES, run.plan.conditions)).astype(np.float32) if run.plan.conditions else None
    if isinstance(value, Tokens):
        return RawSamples(random.integers(0, value.classes, shape), lengths, told)
    low, high = bounds.low, bounds.high
    scaled = random.standard_normal(shape) if low is None or high is None else random.uniform(low, high, shape)
    return RawSamples(run.scaling.undo(scaled.astype(np.float32)), lengths, told)


@torch.no_grad()
def case_of(run: TrainedRun, part: str, samples: RawSamples) -> Case:
    """What the run itself makes of samples in a part (model, encoder, decoder), through numpy's scaling and no recording."""
    scaled = run.scaling.apply(samples.values)
    lengths = None if samples.lengths is None else torch.from_numpy(samples.lengths)
    if samples.lengths is not None:
        scaled[beyond(scaled, samples.lengths)] = 0
    told = None if samples.conditions is None else torch.from_numpy(samples.conditions)
    x = torch.from_numpy(scaled)
    known = (("input", x), ("lengths", lengths), ("conditions", told))
    context: dict[str, Any] = {name: held for name, held in known if held is not None}
    given: dict[str, Any] = {name: context[name] for name in beside(run, part)}
    code = run.model.code_of(run.model.features(run.model.formed(x), context), x, context)       # no noise in a program
    value = code.value if code.posterior is None else code.posterior.mean
    codes = value if code.indices is None else code.indices
    raw = torch.from_numpy(samples.values if run.scaling.kind == "tokens" else samples.values.astype(np.float32))
    if part == "encoder":
        return Case((raw, *given.values()), (codes,))
    if part == "decoder" and run.plan.autoregression is not None:
        return _forced(run, codes, x if samples.target is None else torch.from_numpy(samples.target), samples.mask, given)
    if part == "decoder":
        return Case((codes, *given.values()), (_raw(run, run.model.decode(value, **given)),))
    return Case((raw, *given.values()), (_raw(run, silenced(run.model.likelihood.mean(run.model.parameters_of(value, context)), lengths)),))


@torch.no_grad()
def decoder_case(run: TrainedRun, codes: Tensor, *told: Tensor) -> Case:
    """What the run makes of codes, [n, ...] of numbers, and of the conditions that its decoder is told."""
    return Case((codes, *told), (_raw(run, run.model.decode(codes, conditions=told[0] if told else None)),))


def _forced(run: TrainedRun, codes: Tensor, target: Tensor, mask: NDArray[np.bool_] | None, given: Mapping[str, Tensor]) -> Case:
    """What a decoder that reads its own target says of codes and of a target, as the model knows them; `mask` says what of it is known."""
    scaling = run.target_scaling or run.scaling
    raw, known = scaling.undo(target.numpy()), {"target": target, **given}
    if has_gaps(run) and mask is not None:
        raw, known["mask"] = np.where(mask, raw, np.float32(np.nan)), torch.from_numpy(mask)
    value = codes if codes.is_floating_point() else run.model.latent.lookup(codes)
    found = run.model.likelihood.distribution(run.model.parameters_of(value, known))
    outputs = tuple(found.values())
    if len(outputs) > 1:          # a place and a spread, each in raw units
        place, spread = outputs
        around_0 = replace(scaling, offset=(0.0,) * len(scaling.offset))
        outputs = _raw(run, place), torch.from_numpy(around_0.undo(spread.numpy()))
    return Case((codes, torch.from_numpy(raw), *given.values()), outputs, tuple(found))


def _raw(run: TrainedRun, back: Tensor) -> Tensor:
    return torch.from_numpy((run.target_scaling or run.scaling).undo(back.numpy()))
