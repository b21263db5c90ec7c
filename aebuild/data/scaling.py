"""Fitting the scaling on the training samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any, Protocol

from aebuild.data.errors import fault
from aebuild.data.missing import Known, fill_values, fills
from aebuild.data.probe import Bounds
from aebuild.data.rules import NOT_FINITE, NOT_WHOLE
from aebuild.lang.columns import Field
from aebuild.lang.dataset import Dataset, Gapped
from aebuild.lang.splits import CHUNK, Scaling
from aebuild.lang.values import Value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Figures(Protocol):
    """What a scaling is fitted from: figures of the raw training samples over some of their axes [N, ...]."""

    def extent(self, axes: tuple[int, ...] | None) -> tuple[NDArray[Any], NDArray[Any]]:
        """Least and greatest values."""

    def moments(self, axes: tuple[int, ...]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and deviation; an exactly constant feature has deviation 0."""


@dataclass
class InMemory:
    """Figures of an array [N, ...]."""

    values: NDArray[Any]

    def extent(self, axes: tuple[int, ...] | None) -> tuple[NDArray[Any], NDArray[Any]]:
        """Least and greatest values over the axes."""
        return self.values.min(axis=axes), self.values.max(axis=axes)

    def moments(self, axes: tuple[int, ...]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and deviation over the axes in two passes, in double precision."""
        return _moments(self.values, axes)


def fit_scaling(train: NDArray[Any], scale: str, bounds: Bounds, value: Value) -> Scaling:
    """The scaling of raw training values [N, ...]."""
    return fitting(InMemory(train), scale, bounds, value)


def fit_columns(figures: Figures, part: Dataset, scale: str, bounds: Bounds, value: Value, names: Sequence[str],
                fields: Sequence[Field]) -> Scaling:
    """The scaling of columns of which some are categories or flags, which stay 0 and 1, or some hold missing values (NaN)."""
    fill: tuple[float, ...] = ()
    if isinstance(part, Gapped) and fills(part):
        known = figures if isinstance(figures, Known) else None
        fill = fill_values(figures.moments(value.other_axes)[0], known, part, value.other_axes, names, fields)
    scaling = replace(fitting(figures, scale, bounds, value), fill=fill, last=value.feature_axis == -1)
    if len(scaling.offset) == 1 < value.features or not fields:
        return scaling
    offset, factor = list(scaling.offset), list(scaling.factor)
    for field in fields:
        if field.kind != "number":
            offset[field.features] = [0.0] * field.width
            factor[field.features] = [1.0] * field.width
    return replace(scaling, offset=tuple(offset), factor=tuple(factor))


def needs_samples(scale: str, value: Value, bounds: Bounds) -> bool:
    """True if the scaling depends on the samples, and not on how they are stored alone."""
    return scale == "standard" or (scale in ("unit", "signed") and (value.columns or bounds is None))


def fitting(train: Figures, scale: str, bounds: Bounds, value: Value) -> Scaling:
    """The scaling of raw training values with these figures.

    Vectors and sequences are fitted per feature. Grids keep the proportions of their channels under unit and signed
    (their storage's bounds, else the least and greatest training value), and are standardised per channel. A constant
    feature becomes 0.
    """
    import numpy as np

    if scale in ("none", "integer"):
        return Scaling(scale)
    if scale == "tokens" and bounds is not None:
        return Scaling(scale, low=bounds[0], high=bounds[1])
    last = value.feature_axis == -1
    if scale == "standard":
        mean, deviation = train.moments(value.other_axes)
        return _scaling(scale, mean, deviation, last)
    limits = (-1.0, 1.0) if scale == "signed" else (0.0, 1.0)
    fixed = not value.columns and bounds is not None
    if fixed and bounds is not None:
        low, high = np.asarray([bounds[0]]), np.asarray([bounds[1]])
    else:
        axes = value.other_axes if value.columns else None
        low, high = (np.atleast_1d(np.asarray(least, np.float64)) for least in train.extent(axes))
    span = high / (limits[1] - limits[0]) - low / (limits[1] - limits[0])
    offset = low if scale == "unit" else low / 2 + high / 2
    return _scaling(scale, offset, span, last, None if fixed else limits)


def _scaling(kind: str, offset: NDArray[np.float64], span: NDArray[np.float64], last: bool,
             limits: tuple[float, float] | None = None) -> Scaling:
    import numpy as np

    for feature in np.flatnonzero(~(np.isfinite(span) & np.isfinite(offset))):
        raise fault(NOT_FINITE, f"the values of feature {feature} are too large to be scaled")
    with np.errstate(divide="ignore", over="ignore"):
        factor = 1 / span
    factor[~np.isfinite(factor)] = 1.0
    low, high = limits or (None, None)
    return Scaling(kind, tuple(offset.tolist()), tuple(factor.tolist()), last, low, high)


def _moments(values: NDArray[Any], axes: tuple[int, ...]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and deviation over the axes in two passes, in double precision; an exactly constant feature has deviation 0."""
    import numpy as np

    rows = max(1, CHUNK // max(1, values[0].size))
    chunks = [values[start:start + rows] for start in range(0, len(values), rows)]
    size = prod(n for axis, n in enumerate(values.shape) if axis in axes)
    kept = tuple(n if axis not in axes else 1 for axis, n in enumerate(values.shape))
    with np.errstate(over="ignore", invalid="ignore"):
        mean = sum((chunk.sum(axis=axes, dtype=np.float64) for chunk in chunks), np.zeros(())) / size
        square = sum((np.square(chunk.astype(np.float64) - mean.reshape(kept)).sum(axis=axes) for chunk in chunks), np.zeros(())) / size
    constant = values.min(axis=axes) == values.max(axis=axes)
    deviation = np.where(constant, 0.0, np.sqrt(square))
    return np.where(constant, values.min(axis=axes), mean).astype(np.float64), deviation


def check_whole(values: NDArray[Any], name: Callable[[int], str]) -> None:
    """Refuses fractions, naming the first sample that has one."""
    import numpy as np

    if values.dtype.kind == "f" and not (whole := np.rint(values) == values).all():
        row = int(np.argwhere(~whole)[0][0])
        raise fault(NOT_WHOLE, f"{name(row)} holds {values[row][~whole[row]].flat[0]:g}; `scale: integer` wants whole numbers")
