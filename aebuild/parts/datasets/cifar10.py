"""The CIFAR-10 photographs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.data.probe import Outline, describe
from aebuild.lang.dataset import DataInfo, HeldOut, Known, Labelled, Pictured, Sampled, Where
from aebuild.lang.values import Grid

if TYPE_CHECKING:
    from aebuild.data.raw_samples import Raw

OUTLINE = Outline(Grid(3, (32, 32)), {"train": 50_000, "test": 10_000},
                  "CIFAR-10: 50,000 training and 10,000 test colour images of 32×32, 10 classes", bounds=(0.0, 255.0), labelled=True,
                  class_names=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"))


class Cifar10(Sampled, HeldOut, Labelled, Pictured, Known):
    """60,000 colour photographs, 32×32, of ten classes (Krizhevsky, 2009)."""

    type: Literal["cifar10"] = "cifar10"
    example = "data: {type: cifar10, limit: 40, labels: 30, size: 7, pad: 1}"

    def probe(self, where: Where) -> DataInfo:
        """Known without reading."""
        return describe(self, OUTLINE)

    def read(self, where: Where) -> Raw:
        """Images [n, 3, 32, 32] and their labels; the official test part is kept.

        Reads the original binary batches (`data_batch_1.bin` and on) under `cifar10/`, or else `cifar10_jpeg.npz`, a lossy copy.
        """
        from aebuild.data.formats.cifar import read_cifar10
        from aebuild.data.remote_datasets import folder_of

        return read_cifar10(folder_of(self, where, "cifar10"), OUTLINE)
