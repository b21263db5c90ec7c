"""Results of overlapping pieces joined to those of whole samples, and how well the pieces agree where they overlap."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any

import numpy as np

from aebuild.data.any_size import Laid, Places

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass
class Seams:
    """How far pieces differ where they overlap: squares summed over `count` values, in the model's units."""

    squares: float = 0.0
    count: int = 0

    @property
    def difference(self) -> float | None:
        """Root mean square; None where no pieces overlap."""
        return (self.squares / self.count) ** 0.5 if self.count else None


@dataclass
class Joining:
    """How pieces are joined: `size` of a piece of results, `scale` as places of results for one of the input.

    `reach` is how many places at the near and the far edges depend on what lies beyond them, where it is known: these do not count as far
    as the overlap allows. What is left of the overlap is blended linearly.
    """

    size: Places
    scale: Places
    reach: tuple[Places, Places] | None
    seams: Seams = field(default_factory=Seams)

    def whole(self, laid: Iterable[Laid], batches: Iterable[NDArray[Any]]) -> Iterator[NDArray[Any]]:
        """Results of pieces, batch by batch, as those of samples, [1, C, *places] each."""
        pieces = (piece for batch in batches for piece in batch)
        for each in laid:
            if len(each.corners) == 1:
                yield self._kept(each, next(pieces))
            else:
                yield self._joined(each, pieces)

    def _kept(self, laid: Laid, piece: NDArray[Any]) -> NDArray[Any]:
        """A single piece without what was padded."""
        ends = tuple(min(size, have * by) for size, have, by in zip(piece.shape[1:], laid.kept, self.scale, strict=True))
        return piece[(None, slice(None), *map(slice, ends))]

    def _joined(self, laid: Laid, pieces: Iterator[NDArray[Any]]) -> NDArray[Any]:
        room = tuple(have * by for have, by in zip(laid.padded, self.scale, strict=True))
        total: NDArray[np.float32] = np.zeros(0, np.float32)
        weight = np.zeros(room, np.float32)
        ramps = [self._ramps(axis, starts) for axis, starts in enumerate(laid.starts)]
        for corner, shares in zip(laid.corners, product(*ramps), strict=True):
            piece = next(pieces)
            if not total.size:
                total = np.zeros((len(piece), *room), np.float32)
            share = np.asarray(1, np.float32)
            for each in shares:
                share = share[..., None] * each
            place = tuple(slice(begin * by, begin * by + size) for begin, by, size in zip(corner, self.scale, self.size, strict=True))
            both = (weight[place] > 0) & (share > 0)
            if both.any():
                apart = (total[(slice(None), *place)] / np.maximum(weight[place], 1e-12) - piece)[:, both]
                self.seams.squares += float(np.square(apart, dtype=np.float64).sum())
                self.seams.count += apart.size
            total[(slice(None), *place)] += share * piece
            weight[place] += share
        ends = tuple(slice(have * by) for have, by in zip(laid.kept, self.scale, strict=True))
        found: NDArray[Any] = total[(slice(None), *ends)] / weight[ends]
        return found[None]

    def _ramps(self, axis: int, starts: Places) -> list[NDArray[np.float32]]:
        """The weights of each piece along an axis."""
        size, by = self.size[axis], self.scale[axis]
        shared = [max(0, size - (after - before) * by) for before, after in pairwise(starts)]
        rising = [self._rise(axis, overlap) for overlap in shared]
        ramps = [np.ones(size, np.float32) for _ in starts]
        for number, rise in enumerate(rising):
            ramps[number + 1][:len(rise)] *= rise
            ramps[number][size - len(rise):] *= 1 - rise
        return ramps

    def _rise(self, axis: int, overlap: int) -> NDArray[np.float32]:
        """The weights of a piece where the one before it ends, from 0 to 1."""
        near, far = (0, 0) if self.reach is None else (self.reach[0][axis], self.reach[1][axis])
        near, far = (near, far) if near + far < overlap else (0, 0)
        middle = overlap - near - far
        rise: NDArray[np.float32] = np.clip((np.arange(overlap, dtype=np.float32) - near + 0.5) / max(1, middle), 0, 1)
        return rise
