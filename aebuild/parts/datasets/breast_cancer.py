"""The breast cancer table that comes with scikit-learn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.data.probe import Outline, describe
from aebuild.lang.dataset import DataInfo, Divided, Labelled, Sampled, Where
from aebuild.lang.values import Vector

if TYPE_CHECKING:
    from aebuild.data.raw_samples import Raw

MEASURES = ("radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity", "concave points", "symmetry",
            "fractal dimension")
COLUMNS = (*(f"mean {name}" for name in MEASURES), *(f"{name} error" for name in MEASURES), *(f"worst {name}" for name in MEASURES))
OUTLINE = Outline(Vector(30), {"train": 569}, "breast_cancer: 569 rows of 30 measurements, 2 classes, no file needed", labelled=True,
                  class_names=("malignant", "benign"), columns=COLUMNS)


class BreastCancer(Sampled, Divided, Labelled):
    """569 tumours by 30 measurements, malignant or benign.

    Comes with scikit-learn (Street et al., 1993).
    """

    type: Literal["breast_cancer"] = "breast_cancer"
    example = "data: {type: breast_cancer, limit: 50, labels: 30, split: {validation: 0.1, seed: 1}}"

    def probe(self, where: Where) -> DataInfo:
        """Known without reading."""
        return describe(self, OUTLINE)

    def read(self, where: Where) -> Raw:
        """Rows [n, 30] and their labels."""
        from aebuild.data.sklearn_datasets import read_bundled

        return read_bundled("load_breast_cancer", OUTLINE)
