"""Which samples a trained model is judged by."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aebuild.lang.splits import Split, Splits

JUDGED = 2_000            # samples of a split that are always judged
JUDGED_SHARE = 0.06       # or this share of those that were trained
JUDGED_VALUES = 1 << 28   # of data on disk, which are then held in memory, at most this many numbers


def judged_part(splits: Splits, trained: int | None = None) -> tuple[str, Split, int]:
    """The split that is judged, by samples of it after a short training (`trained` samples), its name, and how many it has in all."""
    name, split = judged_split(splits)
    whole = len(split)
    if trained is not None and (most := judged_samples(split, trained)) < whole:
        split = split.thinned(most)
    return name, split, whole


def judged_split(splits: Splits) -> tuple[str, Split]:
    """The test split, or the next best one that has samples, and its name."""
    for name, split in (("test", splits.test), ("validation", splits.validation)):
        if split is not None and len(split):
            return name, split
    return "training", splits.train


def judged_samples(split: Split, trained: int) -> int:
    """How many samples of a split are judged after a training of so many: all of a small one.

    A pass without gradients takes about a third of the time of one with them, so that over so few it takes a fiftieth of the training.
    A test split of 10,000 is judged whole after 167,000 samples, three epochs of MNIST.
    """
    most = max(JUDGED, int(trained * JUDGED_SHARE))
    if most >= len(split):
        return len(split)
    return max(1, min(most, JUDGED_VALUES // prod(split.aims.shape[1:]))) if split.streamed else most
