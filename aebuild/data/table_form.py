"""Samples as the rows of a table of numbers and words: columns by name, in their own units."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aebuild.data.one_hot import collapse
from aebuild.lang.columns import Field
from aebuild.lang.samples import DataInfo, Form

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class TableForm(Form):
    """A .csv of `columns`, whose `fields` say which features they are and what words they stand for."""

    columns: tuple[str, ...]
    fields: tuple[Field, ...]

    suffix = ".csv"

    def write(self, place: Path, batches: Iterable[NDArray[Any]], beside: Mapping[str, Sequence[str]]) -> None:
        """Writes the columns `beside` and then those of the samples [n, W], in raw units."""
        row = 0
        with place.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow([*beside, *self.columns])
            for batch in batches:
                for cells in self.cells(batch):
                    writer.writerow([*(held[row] for held in beside.values()), *cells])
                    row += 1

    def by_name(self, batch: NDArray[Any]) -> dict[str, NDArray[Any]]:
        """The columns of samples [n, W] in raw units: numbers, of categories and flags words."""
        import numpy as np

        known = [field for field in self.fields if field.kind != "missing"]
        named = zip(self.columns, known, collapse(batch, self.fields).T, strict=True)
        return {name: np.asarray(field.words)[held.astype(np.int64)] if field.kind in ("category", "flag") else held
                for name, field, held in named}

    def cells(self, batch: NDArray[Any]) -> Iterable[list[str]]:
        """The cells of each sample: numbers with the digits that 32 bits hold, categories and flags as words."""
        columns = collapse(batch, self.fields)
        words = {place: field.words for place, field in enumerate(self.fields) if field.kind in ("category", "flag")}
        for sample in columns.tolist():
            yield [words[place][int(value)] if place in words else f"{value:.7g}" for place, value in enumerate(sample)]


def table_form(info: DataInfo) -> TableForm | None:
    """How targets of these data are written where some columns are categories; None where all are plain numbers."""
    columns = info.target_columns or info.columns
    fields = info.target_range.fields
    return TableForm(columns, fields) if columns and fields else None
