"""The columns of a table that are no inputs: what is written beside a sample's result."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from aebuild.data.formats.csv_dialect import counts
from aebuild.data.tables import Sheet, is_identifier

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Beside = Callable[[str], Mapping[str, Sequence[str]]]


def beside(sheet: Sheet, used: Collection[int], order: NDArray[np.int64] | None = None, always: Collection[int | None] = ()) -> Beside:
    """Reads the columns that are not `used` and tell which row it is, when asked; rows in another `order` where one is given.

    These are columns of words, those that are left out as an index or time, and numbers that count or are called an id.
    """
    def cells(part: str) -> Mapping[str, Sequence[str]]:
        places = [place for place in range(len(sheet.names)) if place not in used and (place in always or _tells(sheet, place))]
        texts = sheet.read([], places)[1] if places else []
        if order is not None:
            texts = [[held[row] for row in order.tolist()] for held in texts]
        return {sheet.names[place]: held for place, held in zip(places, texts, strict=True)}
    return cells


def _tells(sheet: Sheet, place: int) -> bool:
    cells = sheet.sample(place) if sheet.numeric[place] and place not in sheet.left else []
    return not cells or (len(cells) > 2 and counts(cells)) or is_identifier(sheet.names[place], cells)

