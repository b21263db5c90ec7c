"""Cells that are empty: what fills them, and which of them a loss leaves out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aebuild.data.errors import fault, shown
from aebuild.data.raw_samples import Raw, Rows
from aebuild.lang.columns import Field
from aebuild.lang.dataset import Dataset, Gapped, Tabular
from aebuild.lang.diagnostics import Hint, Rule

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

UNKNOWN_COLUMN = Rule("AE430", "a column of which nothing is known", """\
`missing` fills empty cells from the training samples: with the mean, the median or the most frequent category of the column. A column
without a single value there has none of these.

```yaml
data: {path: plant.csv, missing: mean}                            # column spare is empty
```
```yaml
data: {path: plant.csv, missing: mean, columns: [flow, heat]}
```
""")
UNFIT_MISSING = Rule("AE431", "a way to fill cells that these data cannot have", """\
`indicators` names the columns whose empty cells get a flag, so it belongs to `missing: indicator`. The median, and which targets a loss
leaves out, need all values in memory, so data that stay on disk have neither. Holes in arrays are at the places
that samples have, so these are neither resized nor padded, and tokens have none.

```yaml
data: {path: rows.csv, missing: mean, indicators: [age]}
```
```yaml
data: {path: rows.csv, missing: indicator, indicators: [age]}
```
""")


def fills(part: Dataset) -> bool:
    """True if the spec says what becomes of missing values."""
    return isinstance(part, Gapped) and part.missing != "error"


def needs_memory(part: Dataset) -> bool:
    """True if what the spec says of missing values cannot be done to data that stay on disk."""
    return fills(part) and (not isinstance(part, Tabular) or part.missing in ("median", "mask"))


def check_holes(part: Gapped, unlike: str | None, streamed: bool = False) -> None:
    """Refuses holes in data that are `unlike` numbers at the places they have, or that stay on disk."""
    if part.missing != "error" and (streamed or unlike is not None):
        why = "needs all values in memory, and these stay on disk" if unlike is None else f"means nothing for {unlike}"
        raise fault(UNFIT_MISSING, f"`missing: {part.missing}` {why}", "remove missing", part=part, at=("missing",))


def check_missing(part: Tabular, streamed: bool = False) -> None:
    """Refuses keys about missing values that do not fit together, or not to data on disk."""
    if part.indicators is not None and part.missing != "indicator":
        raise fault(UNFIT_MISSING, f"`indicators` belongs to `missing: indicator`, not to `missing: {part.missing}`", "missing: indicator",
                    part=part, at=("indicators",))
    if streamed and needs_memory(part):
        raise fault(UNFIT_MISSING, f"`missing: {part.missing}` needs all values in memory, and these stay on disk", "missing: mean",
                    part=part, at=("missing",))


@dataclass
class Known:
    """Figures of the values of an array [N, ...] that are not NaN, which stands for a missing one."""

    values: NDArray[Any]

    def extent(self, axes: tuple[int, ...] | None) -> tuple[NDArray[Any], NDArray[Any]]:
        """Least and greatest values over the axes; NaN where nothing is known."""
        import numpy as np

        known = ~np.isnan(self.values)
        low: NDArray[Any] = np.where(known, self.values, np.inf).min(axis=axes)
        high: NDArray[Any] = np.where(known, self.values, -np.inf).max(axis=axes)
        return np.where(low > high, np.nan, low), np.where(low > high, np.nan, high)

    def moments(self, axes: tuple[int, ...]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and deviation over the axes in two passes; NaN where nothing is known."""
        import numpy as np

        known = ~np.isnan(self.values)
        count = known.sum(axis=axes, dtype=np.float64)
        low, high = self.extent(axes)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            mean = np.where(known, self.values, 0.0).sum(axis=axes) / count
            apart = np.where(known, self.values - np.expand_dims(mean, axes), 0.0)
            deviation = np.sqrt(np.square(apart).sum(axis=axes) / count)
        return np.where(low == high, low, mean), np.where(low == high, 0.0, deviation)

    def median(self, axes: tuple[int, ...]) -> NDArray[np.float64]:
        """The median over the axes."""
        import numpy as np

        found: NDArray[np.float64] = np.nanmedian(self.values, axis=axes)
        return found


def fill_values(mean: NDArray[np.float64], known: Known | None, part: Gapped, axes: tuple[int, ...], names: Sequence[str],
                fields: Sequence[Field]) -> tuple[float, ...]:
    """What a missing value of each feature becomes, from the training samples alone.

    Numbers get their mean, or their median; categories and flags the most frequent. Under `mask`, where the loss leaves the place out,
    everything gets its mean, which of a category are the shares.
    """
    import numpy as np

    for feature in np.flatnonzero(np.isnan(mean)):
        what = f"column {shown(names[int(feature)])}" if names else f"channel {int(feature)}"
        raise fault(UNKNOWN_COLUMN, f"{what} has no value in any training sample, so nothing can fill it",
                    Hint("leave the column out (columns)"), part=part, at=("missing",))
    middle = known.median(axes) if part.missing == "median" and known is not None else mean
    filled = np.array(middle, np.float64)
    for field in fields if part.missing != "mask" else ():
        shares = mean[field.features]
        match field.kind:
            case "category":
                filled[field.features] = np.arange(field.width) == shares.argmax()
            case "flag":
                filled[field.features] = shares >= 0.5
            case "number" | "missing":
                pass
    return tuple(filled.tolist())


def known_places(part: Dataset, raw: Raw, rows: Rows) -> dict[str, dict[str, NDArray[np.bool_]]]:
    """Under `missing: mask` the `mask` of each part: which elements [n, ...] of its targets are known."""
    import numpy as np

    if not isinstance(part, Gapped) or part.missing != "mask":
        return {}
    aims = raw.target or raw.x
    return {name: {"mask": ~np.isnan(aims[origin].take(index))} for name, (origin, index) in rows.items()}
