"""An entropy coder, from the library constriction (Bamler, 2022)."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

PACKAGE = "constriction"
WORD = 32             # bits


def library() -> Any:
    """The library's coders and models; ImportError if it is not installed."""
    return importlib.import_module(PACKAGE).stream


class RangeWriter:
    """Writes whole numbers by their chances."""

    def __init__(self) -> None:
        self._stream = library()
        self._coder = self._stream.queue.RangeEncoder()

    def categorical(self, symbols: Any, chances: Any) -> None:
        """Whole numbers [n] below the number of chances [K]."""
        self._coder.encode(_whole(symbols), _categorical(self._stream, chances))

    def gaussian(self, symbols: Any, spread: Any, low: int, high: int) -> None:
        """Whole numbers [n] from low to high, rounded from normal ones of mean 0 and deviations `spread`, [n]."""
        family = self._stream.model.QuantizedGaussian(low, max(high, low + 1))
        deviations = np.asarray(spread, np.float64)
        self._coder.encode(_whole(symbols), family, np.zeros_like(deviations), deviations)

    @property
    def words(self) -> NDArray[np.uint32]:
        """What was written."""
        found: NDArray[np.uint32] = self._coder.get_compressed()
        return found


class RangeReader:
    """Reads what a RangeWriter wrote, by the same calls."""

    def __init__(self, words: NDArray[np.uint32]) -> None:
        self._stream = library()
        self._coder = self._stream.queue.RangeDecoder(np.ascontiguousarray(words, np.uint32))

    def categorical(self, count: int, chances: Any) -> NDArray[np.int64]:
        """So many whole numbers."""
        found: NDArray[np.int64] = self._coder.decode(_categorical(self._stream, chances), count).astype(np.int64)
        return found

    def gaussian(self, spread: Any, low: int, high: int) -> NDArray[np.int64]:
        """A whole number for each deviation."""
        family = self._stream.model.QuantizedGaussian(low, max(high, low + 1))
        deviations = np.asarray(spread, np.float64)
        found: NDArray[np.int64] = self._coder.decode(family, np.zeros_like(deviations), deviations).astype(np.int64)
        return found


def _whole(symbols: Any) -> NDArray[np.int32]:
    return np.ascontiguousarray(symbols, np.int32)


def _categorical(stream: Any, chances: Any) -> Any:
    return stream.model.Categorical(np.ascontiguousarray(chances, np.float32), perfect=False)
