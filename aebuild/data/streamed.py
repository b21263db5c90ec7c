"""Samples that stay on disk: read, brought to size and scaled when they are taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from aebuild.data.errors import gigabytes, memory
from aebuild.data.missing import Known, fills
from aebuild.data.preprocess import as_bytes, binarized, named, scaled, taken
from aebuild.data.probe import Bounds, plural
from aebuild.data.raw_samples import Rows, Sharded
from aebuild.data.scaling import fit_columns, needs_samples
from aebuild.lang.columns import Field
from aebuild.lang.dataset import Dataset, Streamable
from aebuild.lang.sample_storage import Store
from aebuild.lang.splits import CHUNK, Scaling
from aebuild.lang.values import Value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ON_DISK = "read from disk batch by batch"
SHARE = 0.5       # of the memory that data may take; what needs more is streamed


def streams(part: Streamable, size: int) -> bool:
    """True if data that would take so many bytes in memory are to stay on disk."""
    return part.stream if part.stream is not None else size > SHARE * memory()


@dataclass
class Streamed(Store):
    """The samples of a split as rows of files, in the order of the files."""

    part: Dataset
    samples: Sharded
    rows: NDArray[np.int64]
    scaling: Scaling
    value: Value
    levels: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        self.shape = (len(self.rows), *self.value.shape)

    def take(self, index: NDArray[np.int64]) -> NDArray[Any]:
        """Reads and scales samples; DataError names the one that cannot be read."""
        rows = self.rows[index]
        raw = taken(self.part, self.samples, rows)
        kept = as_bytes(raw) if self.levels is not None else None
        return scaled(raw, self.scaling, named(self.samples, rows)) if kept is None else kept

    def blocks(self) -> NDArray[np.int64]:
        """Where the rows of each block of the files begin."""
        import numpy as np

        return np.unique(np.searchsorted(self.rows, self.samples.blocks()))


def streamed_parts(part: Dataset, samples: Mapping[str, Sharded], rows: Rows, scale: str, value: Value, bounds: Bounds,
                   say: Callable[[str], None], names: Sequence[str] | None = None, fields: Sequence[Field] = ()
                   ) -> tuple[dict[str, Store], Scaling]:
    """Each part on disk, and the scaling, for which the training samples are read once if it depends on them."""
    import numpy as np

    origin, index = rows["train"]
    figures = (KnownPass if fills(part) else Pass)(part, samples[origin], index, value)
    if needs_samples(scale, value, bounds) or fills(part):
        say(f"reading {plural(len(index), 'training sample')} once to fit the scaling `{scale}`")
    scaling = fit_columns(figures, part, scale, bounds, value, names or (), fields)
    first = as_bytes(taken(part, samples[origin], index[:1].astype(np.int64)))
    scaling, apart = binarized(part, scaling)
    owns = {name: apart.get(name, scaling) for name in rows}
    return {name: Streamed(part, samples[origin], index, owns[name], value, None if first is None else owns[name].levels)
            for name, (origin, index) in rows.items()}, scaling


@dataclass
class Pass:
    """Figures of samples on disk, from one reading of them in the order of the files."""

    part: Dataset
    samples: Sharded
    rows: NDArray[np.int64]
    value: Value

    def extent(self, axes: tuple[int, ...] | None) -> tuple[NDArray[Any], NDArray[Any]]:
        """Least and greatest values over the axes."""
        import numpy as np

        low: Any = np.inf
        high: Any = -np.inf
        for chunk in self._chunks():
            low, high = np.minimum(low, chunk.min(axis=axes)), np.maximum(high, chunk.max(axis=axes))
        return low, high

    def moments(self, axes: tuple[int, ...]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and deviation, block after block in double precision (Chan, Golub and LeVeque, 1979); 0 for a constant."""
        import numpy as np

        count, mean, square = 0, np.zeros(()), np.zeros(())
        low: Any = np.inf
        high: Any = -np.inf
        for chunk in self._chunks():
            values = chunk.astype(np.float64)
            size = prod(extent for axis, extent in enumerate(values.shape) if axis in axes)
            middle = values.mean(axis=axes, keepdims=True)
            away, apart = np.square(values - middle).sum(axis=axes), middle.reshape(-1) - mean
            square = square + away + np.square(apart) * (count * size / (count + size))
            mean = mean + apart * (size / (count + size))
            count += size
            low, high = np.minimum(low, values.min(axis=axes)), np.maximum(high, values.max(axis=axes))
        return np.where(low == high, low, mean), np.where(low == high, 0.0, np.sqrt(square / count))

    def _chunks(self) -> Iterator[NDArray[Any]]:
        size = max(1, CHUNK // prod(self.value.shape))
        for start in range(0, len(self.rows), size):
            yield taken(self.part, self.samples, self.rows[start:start + size])


class KnownPass(Pass):
    """The same of samples of which some values are missing (NaN)."""

    def extent(self, axes: tuple[int, ...] | None) -> tuple[NDArray[Any], NDArray[Any]]:
        """Least and greatest known values over the axes."""
        import numpy as np

        extents = [Known(chunk).extent(axes) for chunk in self._chunks()]
        low, high = (np.stack(found) for found in zip(*extents, strict=True))
        return np.fmin.reduce(low), np.fmax.reduce(high)

    def moments(self, axes: tuple[int, ...]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and deviation of the known values; NaN where there are none."""
        import numpy as np

        count, mean, square = np.zeros(()), np.zeros(()), np.zeros(())
        for chunk in self._chunks():
            more = (~np.isnan(chunk)).sum(axis=axes, dtype=np.float64)
            middle, deviation = (np.nan_to_num(found) for found in Known(chunk).moments(axes))
            whole = np.maximum(count + more, 1)
            apart = middle - mean
            square = square + np.square(deviation) * more + np.square(apart) * (count * more / whole)
            mean, count = mean + apart * (more / whole), count + more
        low, high = self.extent(axes)
        with np.errstate(invalid="ignore", divide="ignore"):
            found = np.where(low == high, low, mean), np.where(low == high, 0.0, np.sqrt(square / count))
        return np.where(count > 0, found[0], np.nan), np.where(count > 0, found[1], np.nan)


def sentence(part: Streamable, size: int) -> str:
    """What the user is told about data that stay on disk."""
    why = "as `stream` says" if part.stream else f"they would take {gigabytes(size)} of the {gigabytes(memory())} that data may take"
    return f"{ON_DISK}, {why}; the mean and PCA, to compare with, will know a part of the training samples only"
