"""What the curves of a training tell: whether it was still falling, unsteady, or learned by heart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, pstdev
from typing import Any

FEW = 12              # epochs: fewer tell no trend from noise, so any fall counts
MATTERS = 0.02        # of all that a curve has fallen: less in its last quarter is flat
PARTED = 1 / 3        # of what the training loss has fallen by: a validation so far above it has learned other samples by heart


@dataclass(frozen=True)
class Curves:
    """Training loss and score of each epoch of the last phase; without a validation split the score is the loss."""

    losses: tuple[float, ...]
    scores: tuple[float, ...]

    @classmethod
    def of(cls, records: Sequence[dict[str, Any]], phase: str) -> Curves:
        """From the lines of metrics.jsonl."""
        own = [record for record in records if record["phase"] == phase]
        losses = tuple(float(record["loss"]) for record in own if record["split"] == "train")
        scores = tuple(float(record["score"]) for record in own if record["split"] == "validation")
        return cls(losses, scores or losses)

    @property
    def epochs(self) -> int:
        """How many there were."""
        return len(self.losses)

    def pace(self) -> float:
        """How much the score still fell in an epoch at the end; 0 where it was flat, or only noise."""
        scores = self.scores
        if len(scores) < FEW:
            half = (len(scores) - 1) // 2
            return max(0.0, (scores[half] - scores[-1]) / (len(scores) - 1 - half)) if len(scores) > 1 else 0.0
        quarter = len(scores) // 4
        if min(scores[-quarter:]) >= min(scores[:-quarter]):
            return 0.0
        drop = fmean(scores[-2 * quarter:-quarter]) - fmean(scores[-quarter:])
        noise = pstdev(_differences(scores[len(scores) // 2:])) / quarter ** 0.5
        return drop / quarter if drop > max(MATTERS * (scores[0] - min(scores)), 2 * noise) else 0.0

    def last_quarter(self) -> float:
        """How much of all that the score fell by it fell in its last quarter, in [0, 1]; 0 for less than four epochs."""
        scores, quarter = self.scores, len(self.scores) // 4
        if quarter < 1 or scores[0] <= min(scores):
            return 0.0
        return max(0.0, min(1.0, (min(scores[:-quarter]) - min(scores[-quarter:])) / (scores[0] - min(scores))))

    def largest_rise(self) -> float:
        """The most that the loss rose by from one epoch to the next in its second half; 0 where it never did."""
        return max([0.0, *_differences(self.losses[len(self.losses) // 2:])])

    def unsteady(self) -> bool:
        """True if the loss rose about as often as it fell, by more than a little, or ended above its beginning."""
        steps = _differences(self.losses[len(self.losses) // 2:])
        rises, falls = sum(step for step in steps if step > 0), -sum(step for step in steps if step < 0)
        whole = max(self.losses) - min(self.losses)
        return self.losses[-1] > self.losses[0] or (rises > 0.5 * falls and bool(steps) and max(map(abs, steps)) > 0.1 * whole)

    def by_heart(self) -> bool:
        """True if validation kept little of what the training loss fell by, or rose again while that fell on."""
        if self.scores is self.losses or len(self.scores) != len(self.losses) or self.epochs < 4:
            return False
        quarter = self.epochs // 4
        loss, score = fmean(self.losses[-quarter:]), fmean(self.scores[-quarter:])
        best = min(range(self.epochs), key=self.scores.__getitem__)
        fallen = self.losses[0] - loss
        return score - loss > PARTED * fallen > 0 or (best < 0.7 * self.epochs and self.losses[best] - loss > MATTERS * fallen > 0)


def _differences(values: Sequence[float]) -> list[float]:
    return [after - before for before, after in pairwise(values)]
