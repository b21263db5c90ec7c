"""How the samples of a split are kept: scaled numbers, or bytes with the number that each level means."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WINDOW = 1 << 14       # streamed samples are shuffled among at least this many


class Store(ABC):
    """The samples [n, ...] of a split as they are kept.

    `levels` holds the number that each of the 256 bytes means, float32 [256]; None where the scaled numbers themselves
    are kept, float32, or tokens, whole numbers of any type.
    """

    shape: tuple[int, ...]
    levels: NDArray[np.float32] | None

    def __len__(self) -> int:
        return self.shape[0]

    @abstractmethod
    def take(self, index: NDArray[np.int64]) -> NDArray[Any]:
        """Samples in the order of the index: uint8 where there are `levels`, else float32, or whole numbers of any type of tokens."""

    @abstractmethod
    def blocks(self) -> NDArray[np.int64] | None:
        """Where the blocks of samples that are read together begin, and the end; None where all are in memory."""

    def scaled(self, kept: NDArray[Any]) -> NDArray[Any]:
        """The numbers that kept samples mean: float32, or int64 of tokens."""
        import numpy as np

        if self.levels is not None:
            return np.take(self.levels, kept)
        return kept.astype(np.int64, copy=False) if kept.dtype.kind in "iu" else kept

    @property
    def nbytes(self) -> int:
        """Bytes of all samples as they are kept."""
        return prod(self.shape) * (4 if self.levels is None else 1)


@dataclass
class Held(Store):
    """Samples in memory; `digest` is a hash of them as they were read, before scaling."""

    values: NDArray[Any]
    levels: NDArray[np.float32] | None = None
    digest: str = ""

    def __post_init__(self) -> None:
        self.shape = self.values.shape

    def take(self, index: NDArray[np.int64]) -> NDArray[Any]:
        """A copy of these rows."""
        return self.values[index]

    @property
    def nbytes(self) -> int:
        """Bytes of all samples."""
        return int(self.values.nbytes)

    def blocks(self) -> None:
        """None: all are in memory."""
