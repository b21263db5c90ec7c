"""Rows of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Literal, Self

from aebuild.data.errors import blamed, fault, shown
from aebuild.data.probe import Outline, declared, describe
from aebuild.data.rules import UNFIT
from aebuild.lang.columns import OTHER, Field
from aebuild.lang.dataset import Columned, DataInfo, Divided, OnDisk, OwnLabels, Sampled, Streamable, Suggestion, Where
from aebuild.lang.diagnostics import Hint
from aebuild.lang.samples import Form
from aebuild.lang.values import Vector

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aebuild.data.categories import TableColumn
    from aebuild.data.raw_samples import Raw, Samples
    from aebuild.data.table_columns import Selection
    from aebuild.data.tables import Sheet

BYTES = 12            # of a number while a table is loaded: as it is read, and as it is kept


class Table(Sampled, Divided, OwnLabels, Streamable, Columned, OnDisk):
    """Rows of a .csv, .tsv, .parquet, .arrow or .feather table, or of a folder of files of columns: each row is a vector.

    A column of words that repeat is one of categories, each of them a feature; ids, times and texts are left out.
    """

    type: Literal["table"] = "table"
    example = ("data: {type: table, path: rows.csv, columns: [0, 1, 2], label: 4, target: [1, 3], limit: 30, labels: 20, classes: 3}\n"
               "latent: {type: continuous, dim: 1}\n"
               "---\n"
               "data: {type: table, path: rows.csv, columns: [a, b], shape: [2]}\n"
               "latent: {type: continuous, dim: 1}\n"
               "---\n"
               "data: {type: table, path: rows.csv, columns: [0, 3, 4], categories: [4]}\n"
               "losses: {reconstruction: mixed}\n"
               "---\n"
               "data: {type: table, path: gaps.csv, missing: indicator, indicators: [0]}")
    also = ("csv", "tsv", "parquet", "arrow", "feather", "tabular", "dataframe")

    def probe(self, where: Where) -> DataInfo:
        """Columns from the first rows, or from the metadata of a file of columns; those of words are read to the end."""
        if self.shape is not None:
            return declared(self, Vector(len(self.targets)) if self.targets else None, labelled=self.label is not None)
        with blamed(self, "path"):
            return describe(self, self._outline(self._select(where)))

    def read(self, where: Where) -> Raw:
        """Rows [n, features]; a cell that is no number is named."""
        from aebuild.data.beside import beside
        from aebuild.data.labels import classify
        from aebuild.data.missing import check_missing
        from aebuild.data.raw_samples import Raw
        from aebuild.data.streamed import sentence
        from aebuild.data.table_conditions import mark_of, reader, times_at

        with blamed(self, "path"):
            chosen = self._select(where)
            sheet, label, outline = chosen.sheet, chosen.label, self._outline(chosen)
            width = outline.value.features + (outline.target.features if outline.target else 0)
            size = BYTES * (sheet.rows or 0) * width
            streamed = self._streamed(sheet, size)
            check_missing(self, streamed)
            codes, words = _codes(self, sheet, [] if streamed else chosen.used, [] if label is None else [label])
            labels, names = ({}, None) if label is None else classify({"train": words[0]},
                                                                      f"{shown(sheet.path)}, column {shown(sheet.names[label])}")
            counts: dict[str, int | None] = {"train": sheet.rows if streamed else len(codes)}
            outline = replace(outline, counts=counts, class_names=names)
            samples = (_on_disk(self, chosen) if streamed else _in_memory(sheet, codes, len(chosen.inputs)))
            x, aims = _features(samples[0], outline.fields), _features(samples[1], outline.target_fields)
            used = {column.place for column in chosen.used} | ({label} if label is not None else set())
            return Raw(outline.told(sentence(self, size)) if streamed else outline, {"train": x}, labels,
                       {"train": aims} if chosen.targets else {}, streamed=streamed, beside=beside(sheet, used),
                       conditions=reader(sheet, self, times=lambda: times_at(sheet, chosen.time)), mark=mark_of(sheet))

    def form(self, info: DataInfo) -> Form | None:
        """A .csv of numbers and words; plain numbers are written as any."""
        from aebuild.data.table_form import table_form

        return table_form(info)

    def fixed(self, info: DataInfo) -> Self:
        """The same columns by name, with their categories and flags."""
        aims = None if info.target_columns is None else list(info.target_columns)
        if info.columns is None:
            return self
        fields = [*info.range.fields, *info.target_range.fields]
        categories = {field.name: [word for word in field.words if word != OTHER] for field in fields if field.words}
        flagged = list(dict.fromkeys(field.name for field in fields if field.kind == "missing"))       # an input may be a target too
        return self.but(columns=list(info.columns), target=aims, categories=categories, indicators=flagged or None, index=None,
                        label=info.found.get("label", self.label))

    def suggestion(self, where: Where) -> Suggestion:
        """The label and the columns, or that the rows are steps of a series."""
        from aebuild.data.table_suggestion import suggest_columns
        from aebuild.data.tables import open_sheet

        with blamed(self, "path"):
            return suggest_columns(open_sheet(where.base / self.path, self), self)

    def count_classes(self, where: Where) -> int | None:
        """Reads the label column, and nothing else."""
        from aebuild.data.labels import classify

        if self.classes is not None or self.shape is not None:
            return self.classes
        with blamed(self, "path"):
            chosen = self._select(where)
            sheet, label = chosen.sheet, chosen.label
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

    def _select(self, where: Where) -> Selection:
        from aebuild.data.table_columns import select

        return select(where.base / self.path, self)

    def _outline(self, chosen: Selection) -> Outline:
        from aebuild.data.tables import named_by_number

        sheet, inputs, targets, label = chosen.sheet, chosen.inputs, chosen.targets, chosen.label
        sentence = (f"{shown(sheet.path.name)}: a table {sheet.style}" + (f" of {sheet.rows:,} rows" if sheet.rows is not None else "")
                    + f", {len(inputs)} columns as input" + (f", {len(targets)} as target" if targets else "")
                    + (f", labels in {shown(sheet.names[label])}" if label is not None else ", no labels"))
        return Outline(_vector(inputs, chosen.fields), {"train": sheet.rows}, sentence,
                       target=_vector(targets, chosen.target_fields) if targets else None, labelled=label is not None,
                       columns=tuple(column.name for column in inputs), notes=sheet.notes,
                       target_columns=tuple(column.name for column in targets) if targets else None, fields=chosen.fields,
                       target_fields=chosen.target_fields, offered=chosen.offered, found=named_by_number(sheet, self, label=label))


def _vector(columns: Sequence[TableColumn], fields: Sequence[Field]) -> Vector:
    return Vector(sum(field.width for field in fields) if fields else len(columns))


def _codes(part: Table, sheet: Sheet, columns: Sequence[TableColumn], words: Sequence[int]) -> tuple[NDArray[np.float64], list[list[str]]]:
    """Columns [n, C] as numbers, of categories which of them it is and of empty cells NaN; and columns of words."""
    import numpy as np

    from aebuild.data.categories import numbered

    numbers = [column.place for column in columns if column.kind == "number"]
    coded = [column for column in columns if column.kind != "number"]
    values, texts = sheet.read(numbers, [*(column.place for column in coded), *words], part.missing != "error")
    if not coded:
        return values, texts
    found = {column.place: numbered(held, column, shown(sheet.path), part) for column, held in zip(coded, texts, strict=False)}
    found |= {place: values[:, number] for number, place in enumerate(numbers)}
    return np.stack([found[column.place] for column in columns], axis=1), texts[len(coded):]


def _in_memory(sheet: Sheet, codes: NDArray[np.float64], width: int) -> tuple[Samples, Samples]:
    from aebuild.data.axes import Layout
    from aebuild.data.raw_samples import Stored

    both = (codes[:, :width], codes[:, width:])
    return (Stored(both[0], Layout(Vector(width)), shown(sheet.path), word="row"),
            Stored(both[1], Layout(Vector(both[1].shape[1])), shown(sheet.path), word="row"))


def _on_disk(part: Table, chosen: Selection) -> tuple[Samples, Samples]:
    """Rows that are read when they are taken; only the labels are in memory."""
    from aebuild.data.categories import numbered
    from aebuild.data.formats.columnar import Columns, RowGroups, numbers_of, words_as

    def codes(column: TableColumn, words: Sequence[str], start: int) -> NDArray[np.float64]:
        return numbered(words, column, shown(chosen.sheet.path), part, start)

    readers = {column.name: numbers_of(part.missing != "error") if column.kind == "number" else words_as(partial(codes, column))
               for column in chosen.used}
    table = RowGroups(chosen.sheet.path, readers)
    width = len(chosen.inputs)
    return Columns(table, slice(0, width)), Columns(table, slice(width, None))


def _features(samples: Samples, fields: tuple[Field, ...]) -> Samples:
    from aebuild.data.one_hot import Expanded

    return Expanded(samples, fields) if fields else samples
