"""Raw samples brought to size and checked, whether all at once or batch by batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from aebuild.data.errors import fault
from aebuild.data.image_resize import fit_pad, fit_size
from aebuild.data.missing import fills
from aebuild.data.raw_samples import Samples
from aebuild.data.rules import NOT_FINITE
from aebuild.data.scaling import check_whole
from aebuild.data.tokens import check_tokens
from aebuild.lang.dataset import Dataset, Pictured
from aebuild.lang.diagnostics import Hint
from aebuild.lang.splits import Scaling

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def taken(part: Dataset, samples: Samples, index: NDArray[np.int64]) -> NDArray[Any]:
    """Raw samples [n, ...] after `size` and `pad`; refuses what is not finite, but for NaN where `missing` fills it."""
    values = samples.take(index)
    _check_finite(values, named(samples, index), "holds a value that is not a finite number (NaN or infinity)", gaps=fills(part))
    if isinstance(part, Pictured):
        values = fit_size(values, part.wanted_size) if values.ndim == 4 else values
        values = fit_pad(values, part.pad) if values.ndim == 4 else values
    return values


def scaled(values: NDArray[Any], scaling: Scaling, name: Callable[[int], str]) -> NDArray[Any]:
    """Raw samples as the model's; refuses what is no whole number or no token where that was promised, or too large."""
    if scaling.kind == "tokens":
        check_tokens(values, int(scaling.high or 0) + 1, name)
    if scaling.kind == "integer":
        check_whole(values, name)
    numbers = scaling.apply(values)
    _check_finite(numbers, name, "is too large for a 32-bit number")
    return numbers


def binarized(part: Dataset, scaling: Scaling) -> tuple[Scaling, dict[str, Scaling]]:
    """The scaling with its zeros and ones where they are asked for, and that of parts which stay grey, to be drawn while training."""
    if not isinstance(part, Pictured) or part.binarize is None:
        return scaling, {}
    return replace(scaling, coins=True), {"train": scaling} if part.binarize == "dynamic" else {}


def stored(values: NDArray[Any], scaling: Scaling, name: Callable[[int], str]) -> tuple[NDArray[Any], NDArray[np.float32] | None]:
    """Raw samples as they are kept: bytes as they are, with the number that each means; zeros and ones as bytes; else scaled numbers."""
    import numpy as np

    kept = as_bytes(values) if scaling.levels is not None else None
    if kept is not None:
        return kept, scaling.levels
    held = scaled(values, scaling, name)
    return (held.astype(np.uint8), np.arange(256, dtype=np.float32)) if scaling.coins else (held, None)


def named(samples: Samples, index: NDArray[np.int64]) -> Callable[[int], str]:
    """What a message calls the samples of an index."""
    return lambda row: samples.name(int(index[row]))


def as_bytes(values: NDArray[Any]) -> NDArray[np.uint8] | None:
    """The same values as bytes, where they are stored so."""
    import numpy as np

    return values.view(np.uint8) if values.dtype in (np.uint8, np.bool_) else None


def _check_finite(values: NDArray[Any], name: Callable[[int], str], what: str, gaps: bool = False) -> None:
    import numpy as np

    if values.dtype.kind != "f":
        return
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum(dtype=np.float64)):
            return
    for row, sample in enumerate(values):
        if np.isinf(sample).any() or not (gaps or np.isfinite(sample).all()):
            raise fault(NOT_FINITE, f"{name(row)} {what}", Hint("mend the values in the file, or leave such samples out of it"))
