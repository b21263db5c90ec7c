"""Series of unequal length, padded to the longest: how many places of each are real."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aebuild.data.errors import fault
from aebuild.data.raw_samples import Samples
from aebuild.lang.diagnostics import Hint, Rule
from aebuild.lang.part import Part
from aebuild.lang.values import Value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

UNFIT_LENGTHS = Rule("AE473", "lengths that do not fit the series", """\
Series of unequal length are padded at the end to the longest one, and `lengths` names the array that says how many places of each are
real: one whole number a sample, from 1 to the places that there are. Padding may hold anything; it becomes 0, does not count for the
scaling, and neither the loss nor the evaluation looks at it. Vectors and images have no places in order, and so no lengths.

```yaml
data: {path: table.npz, lengths: n}           # [N, D] is read as vectors
```
```yaml
data: {path: series.npz, lengths: n}          # x of [N, T, D], n of [N]
```
""")


@dataclass
class Ended:
    """Samples of a series whose places beyond their length are 0, whatever is stored there."""

    samples: Samples
    lengths: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.samples)

    def take(self, index: NDArray[np.int64]) -> NDArray[Any]:
        """Samples [n, T, ...]."""
        values = self.samples.take(index)
        values[beyond(values, self.lengths[index])] = 0
        return values

    def name(self, row: int) -> str:
        """What a message calls this sample."""
        return self.samples.name(row)


def ended(samples: Mapping[str, Samples], lengths: Mapping[str, NDArray[np.int64]]) -> dict[str, Samples]:
    """The samples of each part, 0 beyond their lengths."""
    return {name: Ended(held, lengths[name]) for name, held in samples.items()}


def beyond(values: NDArray[Any], lengths: NDArray[np.int64]) -> NDArray[np.bool_]:
    """True at the places [n, T] of values [n, T, ...] that are padding."""
    import numpy as np

    found: NDArray[np.bool_] = np.arange(values.shape[1]) >= lengths[:, None]
    return found


def real(values: NDArray[Any], lengths: NDArray[np.int64] | None) -> NDArray[Any]:
    """The places of values [n, T, ...] that are no padding, as series of one place, [places, 1, ...]."""
    return values if lengths is None else values[~beyond(values, lengths)][:, None]


def check_lengths(stored: Mapping[str, tuple[NDArray[Any], str]], value: Value, target: Value, part: Part) -> dict[str, NDArray[np.int64]]:
    """The lengths of each part, from what is stored and its name in messages; refuses what cannot be lengths of these values."""
    import numpy as np

    places = value.series_length
    if places is None or target.series_length != places:
        what = f"{value}" if value == target else f"{value}, to be reconstructed as {target}"
        raise fault(UNFIT_LENGTHS, f"`lengths` is for series of one length, and these data are {what}", "remove lengths", part=part,
                    at=("lengths",))
    for array, name in stored.values():
        if array.dtype.kind not in "iu" or array.ndim != 1:
            raise fault(UNFIT_LENGTHS, f"{name} has shape {list(array.shape)} of {array.dtype.name}; lengths are whole numbers [N]",
                        Hint('lengths.astype("int64")'), part=part, at=("lengths",))
        wrong = np.flatnonzero((array < 1) | (array > places))
        if len(wrong):
            raise fault(UNFIT_LENGTHS, f"{name}, record {wrong[0]} is {array[wrong[0]]}; these series have 1 to {places:,} places",
                        part=part, at=("lengths",))
    return {name: array.astype(np.int64) for name, (array, _) in stored.items()}
