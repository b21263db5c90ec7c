"""Several requests' data as one batch, and the batch's results as each request's own."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from aebuild.lang.splits import Split

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.data.new_samples import NewData
    from aebuild.results.inference.codes import Codes
    from aebuild.results.inference.scorer import Scores
UNREAD = ("labels",)          # what stands beside samples and no pass of a trained model looks at


def alike(data: NewData) -> Hashable:
    """What must be equal for data to go through the model together."""
    split = data.split
    return tuple(sorted(set(split.beside) - set(UNREAD))), split.target is None, data.wanted is None


def joined_data(several: Sequence[NewData]) -> NewData:
    """Data that are alike, one after the other; only what a pass needs."""
    if len(several) == 1:
        return several[0]
    splits = [data.split for data in several]
    targets = [split.target for split in splits if split.target is not None]
    beside = {name: np.concatenate([split.beside[name] for split in splits]) for name in splits[0].beside if name not in UNREAD}
    split = Split(np.concatenate([split.x for split in splits]), target=np.concatenate(targets) if targets else None, **beside)
    wanted = [data.wanted for data in several if data.wanted is not None]
    return replace(several[0], split=split, beside={}, words=None, steps=None, conditions={},
                   wanted=np.concatenate(wanted) if wanted else None)


def bounds(counts: Sequence[int]) -> list[tuple[int, int]]:
    """Where the samples of each request begin and end."""
    return list(pairwise(accumulate(counts, initial=0)))


def parted(array: NDArray[Any], counts: Sequence[int]) -> list[NDArray[Any]]:
    """An array [n, ...] as one for each request."""
    return [array[start:stop] for start, stop in bounds(counts)]


def parted_codes(codes: Codes, counts: Sequence[int]) -> list[Codes]:
    """Codes of each request."""
    from aebuild.results.inference.codes import Codes

    return [Codes(codes.values[start:stop], None if codes.indices is None else codes.indices[start:stop])
            for start, stop in bounds(counts)]


def parted_scores(scores: Scores, counts: Sequence[int]) -> list[Scores]:
    """Scores of each request."""
    from aebuild.results.inference.scorer import Scores

    return [Scores({name: held[start:stop] for name, held in scores.by_name.items()}, scores.norms[start:stop],
                   None if scores.steps is None else scores.steps[start:stop], None if scores.parts is None else scores.parts[start:stop])
            for start, stop in bounds(counts)]
