"""The wine table that comes with scikit-learn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.data.probe import Outline, describe
from aebuild.lang.dataset import DataInfo, Divided, Labelled, Sampled, Where
from aebuild.lang.values import Vector

if TYPE_CHECKING:
    from aebuild.data.raw_samples import Raw

OUTLINE = Outline(
    Vector(13), {"train": 178}, "wine: 178 rows of 13 measurements, 3 classes, no file needed", labelled=True,
    class_names=("class_0", "class_1", "class_2"),
    columns=("alcohol", "malic_acid", "ash", "alcalinity_of_ash", "magnesium", "total_phenols", "flavanoids", "nonflavanoid_phenols",
             "proanthocyanins", "color_intensity", "hue", "od280/od315_of_diluted_wines", "proline"))


class Wine(Sampled, Divided, Labelled):
    """178 wines by 13 chemical measurements, three cultivars.

    Comes with scikit-learn (Forina et al., 1988).
    """

    type: Literal["wine"] = "wine"
    example = ("data: {type: wine, limit: 60, labels: 40, split: {validation: 0.2, test: 20, seed: 3}, exclude: {label: 1}}\n"
               "heads: {kind: {from: latent, predicts: label}}")

    def probe(self, where: Where) -> DataInfo:
        """Known without reading."""
        return describe(self, OUTLINE)

    def read(self, where: Where) -> Raw:
        """Rows [n, 13] and their labels."""
        from aebuild.data.sklearn_datasets import read_bundled

        return read_bundled("load_wine", OUTLINE)
