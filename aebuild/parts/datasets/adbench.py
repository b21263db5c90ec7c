"""The tables of ADBench, a benchmark of anomaly detection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from aebuild.data.probe import Outline, describe
from aebuild.data.rules import DAMAGED
from aebuild.lang.dataset import DataInfo, HeldOut, Known, Labelled, Sampled, Where
from aebuild.lang.part import knob
from aebuild.lang.values import Vector

if TYPE_CHECKING:
    from aebuild.data.raw_samples import Raw

Name = Literal["cardio", "mammography", "optdigits", "pageblocks", "satellite", "shuttle", "thyroid"]


class Facts(NamedTuple):
    """What is known of a table without reading it."""

    file: str
    normal: int
    anomalies: int
    columns: int


TABLES: dict[Name, Facts] = {
    "cardio": Facts("6_cardio.npz", 1655, 176, 21), "mammography": Facts("23_mammography.npz", 10_923, 260, 6),
    "optdigits": Facts("26_optdigits.npz", 5066, 150, 64), "pageblocks": Facts("27_PageBlocks.npz", 4883, 510, 10),
    "satellite": Facts("30_satellite.npz", 4399, 2036, 36), "shuttle": Facts("32_shuttle.npz", 45_586, 3511, 9),
    "thyroid": Facts("38_thyroid.npz", 3679, 93, 6)}


class Adbench(Sampled, HeldOut, Labelled, Known):
    """A table of ADBench (Han et al., 2022): normal rows to train on, normal and abnormal ones to test.

    The first half of the normal rows is the training part; the other half and all anomalies are the test part.
    """

    type: Literal["adbench"] = "adbench"
    name: Name = knob(..., "which table", affects="data")
    example = ("data: {type: adbench, name: thyroid, limit: 40, labels: 30, split: {validation: 20}}\n"
               "latent: {type: continuous, dim: 2}")

    def probe(self, where: Where) -> DataInfo:
        """Known without reading."""
        return describe(self, self.outline())

    def outline(self) -> Outline:
        """What the table is, without reading it."""
        facts = TABLES[self.name]
        train = facts.normal // 2
        test = facts.normal - train + facts.anomalies
        return Outline(Vector(facts.columns), {"train": train, "test": test},
                       f"ADBench's {self.name}: {train:,} normal rows to train, {test:,} to test ({facts.anomalies:,} of them anomalies), "
                       f"{facts.columns} columns", labelled=True, class_names=("normal", "anomaly"))

    def read(self, where: Where) -> Raw:
        """Rows [n, columns] as published. Needs the table's file in `adbench/` under the root."""
        import numpy as np

        from aebuild.data.axes import Layout
        from aebuild.data.errors import fault, shown
        from aebuild.data.formats.npy import headers, read_array
        from aebuild.data.raw_samples import Raw, Stored
        from aebuild.data.remote_datasets import absent_files, folder_of

        facts, outline = TABLES[self.name], self.outline()
        path = folder_of(self, where, "adbench") / facts.file
        if not path.exists():
            raise absent_files(f"ADBench's {self.name}", path.parent, [f"{facts.file} (arrays X, y)"])
        members = headers(path)
        x, y, rows = members.get("X"), members.get("y"), facts.normal + facts.anomalies
        if x is None or x.shape != (rows, facts.columns) or y is None or y.shape != (rows,):
            raise fault(DAMAGED, f"{shown(path)} wants the arrays X [{rows}, {facts.columns}] and y [{rows}]")
        values, abnormal = read_array(path, x).astype(np.float64), read_array(path, y) != 0
        if int(abnormal.sum()) != facts.anomalies:
            raise fault(DAMAGED, f"{shown(path)} has {int(abnormal.sum()):,} anomalies in y, not {facts.anomalies:,}")
        normal, train = np.flatnonzero(~abnormal), outline.counts["train"]
        parts = {"train": normal[:train], "test": np.concatenate([normal[train:], np.flatnonzero(abnormal)])}
        layout = Layout(outline.value)
        return Raw(outline, {part: Stored(values[index], layout, x.label(path)) for part, index in parts.items()},
                   {part: abnormal[index].astype(np.int64) for part, index in parts.items()})
