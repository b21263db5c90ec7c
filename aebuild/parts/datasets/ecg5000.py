"""The ECG5000 heartbeats."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.data.probe import Outline, describe
from aebuild.data.rules import DAMAGED
from aebuild.lang.dataset import DataInfo, HeldOut, Known, Labelled, Sampled, Where
from aebuild.lang.values import Sequence

if TYPE_CHECKING:
    from aebuild.data.raw_samples import Raw

OUTLINE = Outline(Sequence(140, 1), {"train": 500, "test": 4500},
                  "ECG5000: 500 training and 4,500 test heartbeats of 140 steps, normal or abnormal", labelled=True,
                  class_names=("normal", "abnormal"))


class Ecg5000(Sampled, HeldOut, Labelled, Known):
    """5,000 heartbeats of 140 steps, normal or abnormal (UCR archive)."""

    type: Literal["ecg5000"] = "ecg5000"
    example = "data: {type: ecg5000, limit: 40, labels: 30, split: {validation: 20}}"
    also = ("ecg",)

    def probe(self, where: Where) -> DataInfo:
        """Known without reading."""
        return describe(self, OUTLINE)

    def read(self, where: Where) -> Raw:
        """Sequences [n, 140, 1]; the official test part is kept. Needs `ecg5000/ecg5000.npz` under the root."""
        import numpy as np

        from aebuild.data.axes import Layout
        from aebuild.data.errors import fault, shown
        from aebuild.data.formats.npy import headers, read_array
        from aebuild.data.raw_samples import Raw, Samples, Stored
        from aebuild.data.remote_datasets import absent_files, folder_of

        path = folder_of(self, where, "ecg5000") / "ecg5000.npz"
        if not path.exists():
            raise absent_files("ECG5000", path.parent, ["ecg5000.npz (arrays train_x, train_anomaly, test_x, test_anomaly)"])
        members = headers(path)
        x: dict[str, Samples] = {}
        labels = {}
        for part, count in (("train", 500), ("test", 4500)):
            beats, classes = members.get(f"{part}_x"), members.get(f"{part}_anomaly")
            if beats is None or beats.shape != (count, 140) or classes is None or classes.shape != (count,):
                raise fault(DAMAGED, f"{shown(path)} wants the arrays {part}_x [{count}, 140] and {part}_anomaly [{count}]")
            x[part] = Stored(read_array(path, beats), Layout(Sequence(140, 1)), beats.label(path))
            labels[part] = (read_array(path, classes) != 0).astype(np.int64)
        return Raw(OUTLINE, x, labels)
