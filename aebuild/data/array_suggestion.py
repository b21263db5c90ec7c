"""Whether an array holds symbols, or steps of one series, which its axes do not tell."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from aebuild.data.autocorrelation import autocorrelation
from aebuild.data.errors import shown
from aebuild.lang.suggestion import Suggestion

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROWS = 2_000             # looked at
SMOOTH = 0.8             # correlation of a row with the next one: rows are then steps, and no samples
MOST_COLUMNS = 64        # of a series; what has more is rather a signal or image each row
MOST_SYMBOLS, SHORTEST = 1_000, 8
CHANCE = 0.3             # correlation of a number with the next one in its row: symbols are names, and have none to speak of


def suggest_reading(first: NDArray[Any], path: Path, labelled: bool) -> Suggestion:
    """`as: tokens`, or `type: series`, from the first rows of an array [N, ...]; nothing where there are none."""
    if not first.size:
        return Suggestion()
    if first.ndim == 2 and _symbols(first):
        why = f"whole numbers from 0 to {int(first.max())} that have nothing to do with their neighbours: symbols, and no quantities"
        return Suggestion({"as": "tokens"}, {"as": why})
    if not labelled and first.ndim < 3 and _smooth(first.reshape(len(first), -1)):
        why = (f"the rows of {shown(path.name)} go over into each other, so they are steps of a series, and a sample is a window of them "
               "(`arrays` takes each row for a sample)")
        return Suggestion({"type": "series"}, {"type": why})
    return Suggestion()


def _symbols(first: NDArray[Any]) -> bool:
    import numpy as np

    if first.dtype.kind not in "iu" or first.dtype == np.uint8 or first.shape[1] < SHORTEST or first.min() < 0:
        return False
    if first.max() >= MOST_SYMBOLS or len(np.unique(first)) > MOST_SYMBOLS:
        return False
    ahead, behind = first[:, :-1].ravel().astype(float), first[:, 1:].ravel().astype(float)
    return bool(ahead.std() > 0 and behind.std() > 0 and abs(np.corrcoef(ahead, behind)[0, 1]) < CHANCE)


def _smooth(rows: NDArray[Any]) -> bool:
    import numpy as np

    if len(rows) < 10 * SHORTEST or rows.shape[1] > MOST_COLUMNS or rows.dtype.kind not in "iuf":
        return False
    if not np.isfinite(rows).all():          # holes tell nothing of their neighbours, and are told by whoever reads them
        return False
    return bool(autocorrelation(rows)[1] > SMOOTH)
