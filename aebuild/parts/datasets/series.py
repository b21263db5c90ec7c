"""Time series, whole or cut into windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field

from aebuild.data.axes import windows_for
from aebuild.data.errors import blamed, fault, shown
from aebuild.data.probe import declared, describe
from aebuild.data.rules import UNDECLARED, UNFIT, WINDOWS
from aebuild.lang.dataset import Column, DataInfo, Divided, OnDisk, Sampled, Suggestion, Timed, Where, Window
from aebuild.lang.emit import emit
from aebuild.lang.part import knob
from aebuild.lang.values import Sequence

if TYPE_CHECKING:
    from aebuild.data.raw_samples import Raw
    from aebuild.data.table_series import TableSeries
    from aebuild.data.windows import Source

Columns = Annotated[list[Column], Field(min_length=1)]


class Series(Sampled, Divided, Timed, OnDisk):
    """Windows over a table or array, or whole series, which may be of unequal length.

    Tables are .csv, .tsv, .parquet, .arrow or .feather with a row a step; arrays are [T, D], or many series [N, T, D].
        Windows over one series are divided in blocks of time; many series are divided among themselves, then cut.
        With `group` and no `window` each series of a table is a sample.
    """

    type: Literal["series"] = "series"
    example = ("data: {type: series, path: wave.csv, columns: [1, 2], target: [0, 2], window: {length: 8, stride: 2}, limit: 30}\n"
               "---\n"
               "data: {type: series, path: wave.csv, window: {length: 6, stride: 3}, shape: [6, 3], columns: [0, 1, 2]}\n"
               "---\n"
               "data: {type: series, path: machines.csv, group: 1, window: {length: 4, stride: 2}, columns: [2, 3], limit: 30}\n"
               "---\n"
               "data: {type: series, path: trips.csv, group: 0, length: 5, columns: [1, 2], limit: 20}\n"
               "encoder: [gru: 4]\n"
               "decoder: [gru: 4]\n"
               "---\n"
               "data: {type: series, path: wave.csv, window: {length: 6, stride: 3}, label: 2}\n"
               "---\n"
               "data: {type: series, path: sensor.csv, window: {length: 6, stride: 2}, every: 3, missing: indicator, indicators: [1]}")
    also = ("timeseries", "time_series", "sequences")
    columns: Columns | None = knob(
        None, "the columns that are the input, by name or counted from 0 (default: all of numbers but the target)", affects="data")
    target: Column | Columns | None = knob(None, "column or columns to reconstruct instead of the input", affects="data")
    group: Column | None = knob(
        None, "the column of a table that tells several series apart (a machine, a patient); no window crosses from one to another",
        affects="data")
    label: Column | None = knob(
        None, "the column of a table that says what each step is, 0 or 1 or words: no input, but what anomaly scores are judged by",
        affects="data")
    length: int | None = knob(
        None, "steps that whole series of a table are padded to; longer ones are cut at the end (default: the longest)", affects="data",
        ge=1)
    window: Window | None = Field(
        None, description="length and stride of the windows; an array [N, T, D] and a table with `group` can do without")

    @property
    def targets(self) -> list[Column]:
        """The target columns as a list."""
        return self.target if isinstance(self.target, list) else [] if self.target is None else [self.target]

    def probe(self, where: Where) -> DataInfo:
        """Columns and rows from headers or first rows."""
        if self.shape is not None:
            if len(self.shape) != 2:
                raise fault(UNDECLARED, f"`shape` is {self.shape}, but a series gives sequences, of steps and columns",
                            f"shape: [{self.shape[0]}, 1]" if len(self.shape) == 1 else None, part=self, at=("shape",))
            if self.length is not None and self.length != self.shape[0]:
                raise fault(UNDECLARED, f"`length` is {self.length} and `shape` {self.shape}", "remove length", part=self, at=("length",))
            aims = len(self.targets) or (self.shape[1] - 2 * len(self.hands) if self.hands else 0)
            return declared(self, Sequence(self.shape[0], aims) if aims > 0 else None, ragged=self._whole)
        with blamed(self, "path"):
            source = self._open(where)
            return describe(self, source.outline(self, source.steps))

    def read(self, where: Where) -> Raw:
        """Windows [n, length, columns]."""
        with blamed(self, "path"):
            return self._open(where).load(self)

    def fixed(self, info: DataInfo) -> Self:
        """The same columns, by name."""
        if info.columns is None:
            return self
        columns = list(info.columns)[:len(info.columns) - 2 * len(self.hands)]
        aims = None if info.target_columns is None or not self.targets else list(info.target_columns)
        flagged = [field.name for field in info.range.fields if field.kind == "missing"]
        length = {"length": info.value.shape[0]} if self._whole else {}
        named = {name: info.found[name] for name in ("group", "label") if name in info.found}
        return self.but(columns=columns, target=aims, indicators=flagged or None, **length, **named)

    @property
    def _whole(self) -> bool:
        """True where each series of a table is a sample."""
        return self.group is not None and self.window is None

    def suggestion(self, where: Where) -> Suggestion:
        """The length of the windows, by how the series resembles itself."""
        from aebuild.data.autocorrelation import suggest_window

        with blamed(self, "path"):
            source = self._source(where)
            return suggest_window(source.first(), where.base / self.path) if source.single or self._whole else Suggestion()

    def _open(self, where: Where) -> Source | TableSeries:
        source = self._source(where)
        if self.window is None and source.single:
            window = windows_for(source.steps or source.seen)
            raise fault(WINDOWS, f"{shown(where.base / self.path)} is one series, which must be cut into windows",
                        emit({"window": window}).strip() if window else None, part=self)
        return source

    def _source(self, where: Where) -> Source | TableSeries:
        from aebuild.data.formats.array_files import holds_arrays
        from aebuild.data.windows import Chosen, array_source, table_source

        path = where.base / self.path
        from aebuild.data.tables import refuse_keys

        source: Source | TableSeries
        if holds_arrays(path):
            if self.group is not None:
                raise fault(UNFIT, f"`group` is for tables; {shown(path.name)} has arrays, which hold several series as [N, T, D]",
                            "remove group", part=self, at=("group",))
            refuse_keys(self, path, "separator", "decimal", "header", "index", "every", "clock", "indicators", "label", "length")
            if self.gaps != "split":
                raise fault(UNFIT, f"`gaps` is for tables with a time, not for {shown(path.name)}", "remove gaps", part=self, at=("gaps",))
            source = array_source(path, self.window, self, self.columns, self.targets)
        else:
            self._check_whole()
            length = self.length if self.shape is None else self.shape[0]
            source = table_source(path, self.window, self, Chosen(self.columns, self.targets, self.group, self.label, length))
        return source

    def _check_whole(self) -> None:
        """Refuses what only whole series have, or only windows."""
        if self.length is not None and not self._whole:
            why = "`window` has its own" if self.window is not None else "a single series is cut into windows"
            raise fault(UNFIT, f"`length` is for whole series, told apart by `group`; {why}", "remove length", part=self, at=("length",))
        if self._whole and self.gaps != "split":
            raise fault(UNFIT, "`gaps` says what windows do; a whole series goes on behind a gap", "remove gaps", part=self, at=("gaps",))
