"""Rows of a table."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field

from aebuild.data.errors import blamed, fault, shown
from aebuild.data.probe import Outline, declared, describe
from aebuild.data.rules import UNFIT
from aebuild.lang.dataset import Column, DataInfo, Divided, OnDisk, OwnLabels, Sampled, Streamable, Tabular, Where
from aebuild.lang.diagnostics import Hint
from aebuild.lang.part import knob
from aebuild.lang.values import Vector

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aebuild.data.raw_samples import Raw, Samples
    from aebuild.data.tables import Sheet

Chosen = Annotated[list[Column], Field(min_length=1)]
BYTES = 12            # of a number while a table is loaded: as it is read, and as it is kept


class Table(Sampled, Divided, OwnLabels, Streamable, Tabular, OnDisk):
    """Rows of a .csv, .tsv or .parquet table, or of a folder of .parquet files: each row is a vector."""

    type: Literal["table"] = "table"
    example = ("data: {type: table, path: rows.csv, columns: [0, 1, 2], label: 4, target: [1, 3], limit: 30, labels: 20, classes: 3}\n"
               "latent: {type: continuous, dim: 1}\n"
               "---\n"
               "data: {type: table, path: rows.csv, columns: [a, b], shape: [2]}\n"
               "latent: {type: continuous, dim: 1}")
    also = ("csv", "tsv", "parquet", "tabular", "dataframe")
    columns: Chosen | None = knob(
        None, "the columns that are the input, by name or counted from 0 (default: all but label and target)", affects="data")
    label: Column | None = knob(None, "the column that holds the class; an empty cell is an unknown label", affects="data")
    target: Column | Chosen | None = knob(None, "column or columns to reconstruct instead of the input", affects="data")

    @property
    def targets(self) -> list[Column]:
        """The target columns as a list."""
        return self.target if isinstance(self.target, list) else [] if self.target is None else [self.target]

    def probe(self, where: Where) -> DataInfo:
        """Columns from the first rows, or from a parquet file's metadata."""
        if self.shape is not None:
            return declared(self, Vector(len(self.targets)) if self.targets else None, labelled=self.label is not None)
        with blamed(self, "path"):
            return describe(self, self._outline(*self._open(where)))

    def read(self, where: Where) -> Raw:
        """Rows [n, columns]; a cell that is no number is named."""
        from aebuild.data.axes import Layout
        from aebuild.data.labels import classify
        from aebuild.data.raw_samples import Raw, Stored
        from aebuild.data.streamed import sentence

        with blamed(self, "path"):
            sheet, inputs, targets, label = self._open(where)
            outline = self._outline(sheet, inputs, targets, label)
            size = BYTES * (sheet.rows or 0) * (len(inputs) + len(targets))
            streamed = self._streamed(sheet, size)
            numbers, words = sheet.read([] if streamed else [*inputs, *targets], [] if label is None else [label])
            labels, names = ({}, None) if label is None else classify({"train": words[0]},
                                                                      f"{shown(sheet.path)}, column {shown(sheet.names[label])}")
            counts: dict[str, int | None] = {"train": len(numbers)}
            outline = replace(outline, counts=counts, class_names=names)
            if streamed:
                return _on_disk(sheet, inputs, targets, outline.told(sentence(self, size)), labels)
            rows: Samples = Stored(numbers[:, :len(inputs)], Layout(Vector(len(inputs))), shown(sheet.path), word="row")
            aims: Samples = Stored(numbers[:, len(inputs):], Layout(Vector(len(targets))), shown(sheet.path), word="row")
            return Raw(outline, {"train": rows}, labels, {"train": aims} if targets else {})

    def fixed(self, info: DataInfo) -> Self:
        """The same columns, by name."""
        aims = None if info.target_columns is None else list(info.target_columns)
        return self if info.columns is None else self.but(columns=list(info.columns), target=aims, index=None)

    def count_classes(self, where: Where) -> int | None:
        """Reads the label column, and nothing else."""
        from aebuild.data.labels import classify

        if self.classes is not None or self.shape is not None:
            return self.classes
        with blamed(self, "path"):
            sheet, _, _, label = self._open(where)
            return None if label is None else len(classify({"train": sheet.read([], [label])[1][0]}, shown(sheet.path))[1])

    def _streamed(self, sheet: Sheet, size: int) -> bool:
        """Whether the rows stay on disk; refuses that of text, which has no row groups."""
        from aebuild.data.streamed import streams

        if sheet.commas is None:
            return streams(self, size)
        if self.stream:
            raise fault(UNFIT, f"{shown(sheet.path)} is text, which cannot be read from the middle", Hint("save it as .parquet"), part=self,
                        at=("stream",))
        return False

    def _open(self, where: Where) -> tuple[Sheet, list[int], list[int], int | None]:
        from aebuild.data.labels import check_words
        from aebuild.data.tables import inputs, numbers_only, open_sheet, row_numbers

        sheet = row_numbers(open_sheet(where.base / self.path, self), self, self.columns)
        chosen, targets, label = inputs(sheet, self, self.columns, self.targets, self.label, sheet.left)
        numbers_only(sheet, [*chosen, *targets], self)
        if label is not None:
            check_words(sheet.sample(label), f"{shown(sheet.path)}, column {shown(sheet.names[label])}")
        return sheet, chosen, targets, label

    def _outline(self, sheet: Sheet, inputs: list[int], targets: list[int], label: int | None) -> Outline:
        sentence = (f"{shown(sheet.path.name)}: a table {sheet.style}" + (f" of {sheet.rows:,} rows" if sheet.rows is not None else "")
                    + f", {len(inputs)} columns as input" + (f", {len(targets)} as target" if targets else "")
                    + (f", labels in {shown(sheet.names[label])}" if label is not None else ", no labels"))
        return Outline(Vector(len(inputs)), {"train": sheet.rows}, sentence, target=Vector(len(targets)) if targets else None,
                       labelled=label is not None, columns=tuple(sheet.names[place] for place in inputs),
                       target_columns=tuple(sheet.names[place] for place in targets) if targets else None, notes=sheet.notes)


def _on_disk(sheet: Sheet, inputs: list[int], targets: list[int], outline: Outline, labels: dict[str, NDArray[np.int64]]) -> Raw:
    """Rows that are read when they are taken; only the labels are in memory."""
    from aebuild.data.formats.parquet import Columns, RowGroups
    from aebuild.data.raw_samples import Raw

    table = RowGroups(sheet.path, [sheet.names[place] for place in [*inputs, *targets]])
    aims = {"train": Columns(table, slice(len(inputs), None))} if targets else {}
    return Raw(outline, {"train": Columns(table, slice(0, len(inputs)))}, labels, aims, streamed=True)
