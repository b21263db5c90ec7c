"""The handwritten digits that come with scikit-learn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.data.probe import Outline, describe
from aebuild.lang.dataset import DataInfo, Divided, Labelled, Pictured, Sampled, Where
from aebuild.lang.values import Grid

if TYPE_CHECKING:
    from aebuild.data.raw_samples import Raw

OUTLINE = Outline(Grid(1, (8, 8)), {"train": 1797},
                  "digits: 1,797 images of 8×8 grey pixels with values 0 to 16, 10 classes, no file needed",
                  bounds=(0.0, 16.0), labelled=True, class_names=tuple("0123456789"))


class Digits(Sampled, Divided, Labelled, Pictured):
    """1,797 handwritten digits, 8×8 grey.

    Comes with scikit-learn (Alpaydin and Kaynak, 1998).
    """

    type: Literal["digits"] = "digits"
    example = "data: {type: digits, limit: 30, size: [10, 7], pad: 1, labels: 20, split: {validation: 10, test: 0.5, seed: 4}}"
    also = ("load_digits", "sklearn_digits")

    def probe(self, where: Where) -> DataInfo:
        """Known without reading."""
        return describe(self, OUTLINE)

    def read(self, where: Where) -> Raw:
        """Images [n, 1, 8, 8] and their labels."""
        from aebuild.data.sklearn_datasets import read_bundled

        return read_bundled("load_digits", OUTLINE)
