"""Columns of a table as features: categories one-hot, empty cells told in flags of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

from aebuild.data.raw_samples import Samples, Sharded
from aebuild.lang.columns import Field

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def expand(codes: NDArray[np.float64], fields: Sequence[Field]) -> NDArray[np.float64]:
    """Columns [..., C], categories as their numbers and missing cells NaN, as features [..., W]; a missing category is NaN in each."""
    import numpy as np

    columns = [field for field in fields if field.kind != "missing"]
    flagged = {field.name: codes[..., place] for place, field in enumerate(columns)}
    found = np.empty((*codes.shape[:-1], sum(field.width for field in fields)))
    for place, field in enumerate(fields):                          # those of empty cells come last
        column = flagged[field.name] if field.kind == "missing" else codes[..., place]
        match field.kind:
            case "category":
                hot = column[..., None] == np.arange(field.width)
                found[..., field.features] = np.where(np.isnan(column)[..., None], np.nan, hot)
            case "missing":
                found[..., field.offset] = np.isnan(column)
            case "number" | "flag":
                found[..., field.offset] = column
    return found


def collapse(features: NDArray[np.floating], fields: Sequence[Field]) -> NDArray[np.float64]:
    """Features [..., W] as columns [..., C]: of a category the likeliest, of a flag 0 or 1; flags of empty cells are left out."""
    import numpy as np

    columns = [field for field in fields if field.kind != "missing"]
    found = np.empty((*features.shape[:-1], len(columns)))
    for place, field in enumerate(columns):
        held = features[..., field.features]
        match field.kind:
            case "category":
                found[..., place] = held.argmax(-1)
            case "flag":
                found[..., place] = held[..., 0] >= 0.5
            case "number" | "missing":
                found[..., place] = held[..., 0]
    return found


@dataclass
class Expanded:
    """Samples of columns as samples of features."""

    samples: Samples
    fields: tuple[Field, ...]

    def __len__(self) -> int:
        return len(self.samples)

    def take(self, index: NDArray[np.int64]) -> NDArray[np.float64]:
        """Samples [n, W]."""
        return expand(self.samples.take(index), self.fields)

    def name(self, row: int) -> str:
        """What a message calls this sample."""
        return self.samples.name(row)

    def blocks(self) -> NDArray[np.int64]:
        """The blocks that are read together."""
        return cast("Sharded", self.samples).blocks()

    def sources(self) -> Sequence[Path]:
        """The files that the samples are read from."""
        return cast("Sharded", self.samples).sources()
