"""Walks through codes: from one sample to another, along each value of the code, along the difference of two groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from aebuild.data.errors import fault
from aebuild.data.new_samples import STRANGE, NewData
from aebuild.lang.diagnostics import Diagnostic, Hint, Rule, UsageError
from aebuild.lang.sample_storage import Held
from aebuild.lang.splits import Split
from aebuild.lang.values import Tokens
from aebuild.results.inference.codes import encode, require
from aebuild.results.inference.given import decoder_conditions
from aebuild.results.inference.passes import decoded, encoded

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.results.trained_run import TrainedRun

BAD_WALK = Rule("AE575", "a walk that this model cannot go", """\
A walk needs places between codes. Discrete codes have none: their walks go between the encoder's features before the bottleneck
(`--where features`), and they have no values to go along one by one.

```console
$ aebuild traverse runs/vqvae                              # refused
$ aebuild interpolate runs/vqvae 3 8 --where features
```
""")
Path = Literal["linear", "spherical"]
Where = Literal["code", "features"]


def between(first: Tensor, second: Tensor, steps: int, path: Path) -> Tensor:
    """[steps, ...] from one code to the other, in equal steps of length, or of angle on the sphere between their lengths."""
    shares = torch.linspace(0, 1, steps, dtype=first.dtype, device=first.device).view(-1, *(1,) * first.ndim)
    lengths = first.norm(), second.norm()
    if path == "linear" or min(lengths) == 0:
        return torch.lerp(first[None], second[None], shares)
    cosine = ((first * second).sum() / (lengths[0] * lengths[1])).clamp(-1, 1)
    angle = torch.arccos(cosine)
    if angle < 1e-4 or angle > torch.pi - 1e-4:              # no arc, or no single one
        return torch.lerp(first[None], second[None], shares)
    a, b = first / lengths[0], second / lengths[1]
    direction = (((1 - shares) * angle).sin() * a + (shares * angle).sin() * b) / angle.sin()
    arc: Tensor = direction * torch.lerp(lengths[0], lengths[1], shares)
    return arc


def interpolate(run: TrainedRun, a: NewData, b: NewData, steps: int = 8, *, path: Path = "linear", where: Where | None = None
                ) -> NDArray[np.float32]:
    """[n, steps, ...] from each sample of `a` to the one of `b`, in the model's units.

    The walk goes between codes, or between the encoder's `features` before the bottleneck, which is usual for discrete codes.
    """
    require(run, "interpolate")
    _check_steps(steps)
    if path not in get_args(Path) or where not in (None, *get_args(Where)):
        raise ValueError(f"a walk goes {' or '.join(get_args(Path))}, between {' or '.join(get_args(Where))}; not {path!r}, {where!r}")
    if len(a) != len(b):
        raise fault(STRANGE, f"a walk needs as many ends as beginnings, not {len(b)} and {len(a)}")
    discrete = isinstance(run.plan.latent.codes, Tokens)
    where = where or ("features" if discrete else "code")
    if discrete and where == "code":
        raise UsageError(Diagnostic(BAD_WALK, "discrete codes have no places between them", fix="--where features"))
    if where == "features":
        require(run, "interpolate before the bottleneck")
    ends = [_ends(run, data, where) for data in (a, b)]
    walks = []
    for number, (first, second) in enumerate(zip(*ends, strict=True)):
        way, told = between(first, second, steps, path), _told(a, b, number, steps)
        if where == "features":
            with torch.no_grad():
                code = run.model.latent(way, {} if told is None else {"conditions": torch.from_numpy(told).to(way.device)})
            way = code.value if code.posterior is None else code.posterior.mean
        else:
            way = run.model.latent.settled(way)
        walks.append(np.concatenate([batch.cpu().numpy() for batch in decoded(run, way, told)]))
    return np.stack(walks)


def _told(a: NewData, b: NewData, row: int, steps: int) -> NDArray[np.float32] | None:
    """What a conditioned decoder is told on the way, [steps, F]: in equal steps from what it is told of one sample to the other."""
    first, second = decoder_conditions(a), decoder_conditions(b)
    if first is None or second is None:
        return None
    shares = np.linspace(0, 1, steps, dtype=np.float32)[:, None]
    told: NDArray[np.float32] = first[row] + shares * (second[row] - first[row])
    return told


@torch.no_grad()
def _ends(run: TrainedRun, data: NewData, where: Where) -> list[Tensor]:
    if where == "code":
        return [code for each in encoded(run, data.split) for code in each.value]
    model = run.model
    return [code for each in encoded(run, data.split) for code in model.features(model.corrupt(each.batch.x), each.batch.context())]


def traverse(run: TrainedRun, data: NewData, steps: int = 9, *, dims: Sequence[int] | None = None, span: float = 3.0,
             around: int = 0, most: int = 10) -> tuple[NDArray[np.float32], list[int]]:
    """[dims, steps, ...]: the sample `around` of `data` with one value of its code changed at a time, in the model's units, and which.

    Each goes `span` standard deviations, of all codes of `data`, to either side of the mean. Without `dims` the `most` widest ones.
    """
    require(run, "decode")
    _refuse_discrete(run)
    _check_steps(steps)
    codes = encode(run, data).values.reshape(len(data), -1)
    spread, middle = codes.std(0), codes.mean(0)
    _check_row(data, around)
    if len(data) < 2:
        raise fault(STRANGE, "one sample does not tell how far its code's values go", Hint("give DATA with more samples"))
    chosen = list(np.argsort(-spread, kind="stable")[:most]) if dims is None else list(dims)
    for dim in chosen:
        if not 0 <= dim < codes.shape[1]:
            raise UsageError(Diagnostic(BAD_WALK, f"the code has no value {dim}; they are counted from 0 to {codes.shape[1] - 1}"))
    rows = []
    for dim in chosen:
        row = np.repeat(codes[around:around + 1], steps, 0)
        row[:, dim] = middle[dim] + np.linspace(-span, span, steps) * spread[dim]
        rows.append(row)
    way = run.model.latent.settled(torch.from_numpy(np.concatenate(rows).reshape(-1, *run.plan.latent.code.shape)))
    told = decoder_conditions(data)
    same = None if told is None else np.repeat(told[around:around + 1], len(way), 0)
    drawn = np.concatenate([batch.cpu().numpy() for batch in decoded(run, way, same)])
    return drawn.reshape(len(chosen), steps, *drawn.shape[1:]), [int(dim) for dim in chosen]


def moved(run: TrainedRun, data: NewData, labelled: NewData, add: str | None, remove: str | None, steps: int = 9, most: int = 8
          ) -> NDArray[np.float32]:
    """[n, steps, ...]: the first samples of `data`, step by step moved by the mean code of one label less that of another.

    Without one of both, the mean of all others takes its place.
    """
    require(run, "decode")
    _refuse_discrete(run)
    _check_steps(steps)
    codes = encode(run, labelled).values
    towards = _mean_of(codes, labelled, add, remove) - _mean_of(codes, labelled, remove, add)
    start = encode(run, data).values[:most]
    shares = np.linspace(0, 1, steps).reshape(1, -1, *(1,) * (start.ndim - 1))
    path = (start[:, None] + shares * towards).astype(np.float32)
    told = decoder_conditions(data)
    same = None if told is None else np.repeat(told[:most], steps, 0)
    way = run.model.latent.settled(torch.from_numpy(path.reshape(-1, *start.shape[1:])))
    drawn = np.concatenate([batch.cpu().numpy() for batch in decoded(run, way, same)])
    return drawn.reshape(*path.shape[:2], *drawn.shape[1:])


def _mean_of(codes: NDArray[np.float32], data: NewData, label: str | None, other: str | None) -> NDArray[np.float64]:
    """The mean code of a label's samples; of all that do not have the other one, where no label is given."""
    if data.words is None:
        raise fault(STRANGE, "these data have no labels", Hint("name their column with --set data.label=COLUMN"))
    words = np.asarray(data.words)
    chosen = words == label if label is not None else words != other
    if not chosen.any():
        there = f"there are {', '.join(sorted({word for word in data.words if word})[:20])}"
        missing = f"no sample has the label {label!r}; {there}" if label is not None else (
            f"all samples have the label {other!r}, so there are no others to tell it from")
        raise UsageError(Diagnostic(BAD_WALK, missing))
    mean: NDArray[np.float64] = codes[chosen].astype(np.float64).mean(0)
    return mean


def _refuse_discrete(run: TrainedRun) -> None:
    if isinstance(run.plan.latent.codes, Tokens):
        raise UsageError(Diagnostic(BAD_WALK, "a discrete code has no values that can be changed a little at a time",
                                    fix="aebuild interpolate RUN A B --where features"))


def _check_steps(steps: int) -> None:
    if steps < 2:
        raise ValueError(f"a walk has at least two steps, its ends; not {steps}")


def _check_row(data: NewData, row: int) -> None:
    if not 0 <= row < len(data):
        raise fault(STRANGE, f"there is no sample {row}; they are counted from 0 to {len(data) - 1}")


def chosen_rows(data: NewData, rows: Sequence[int]) -> NewData:
    """Some samples of data, in memory."""
    for row in rows:
        _check_row(data, row)
    index, split = np.asarray(rows, np.int64), data.split
    some = Split(Held(split.inputs.take(index), split.inputs.levels),
                 target=None if split.targets is None else Held(split.targets.take(index), split.targets.levels),
                 **{name: held[index] for name, held in split.beside.items()})
    words = None if data.words is None else [data.words[row] for row in rows]
    wanted = None if data.wanted is None else data.wanted[index]
    conditions = {name: held[index] for name, held in data.conditions.items()}
    beside = {} if split.windows is not None else {name: [cells[row] for row in rows] for name, cells in data.beside.items()}
    return replace(data, split=some, words=words, wanted=wanted, conditions=conditions, beside=beside)

