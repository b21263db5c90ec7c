"""The MNIST handwritten digits."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from aebuild.data.download import Remote
from aebuild.data.probe import describe
from aebuild.data.remote_datasets import IdxSet
from aebuild.lang.dataset import DataInfo, HeldOut, Known, Labelled, Pictured, Sampled, Where

if TYPE_CHECKING:
    from aebuild.data.raw_samples import Raw

SET = IdxSet("MNIST", "mnist", (
    Remote("train-images-idx3-ubyte.gz", 9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
           "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
    Remote("train-labels-idx1-ubyte.gz", 28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
           "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
    Remote("t10k-images-idx3-ubyte.gz", 1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
           "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
    Remote("t10k-labels-idx1-ubyte.gz", 4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
           "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
), tuple("0123456789"))


class Mnist(Sampled, HeldOut, Labelled, Pictured, Known):
    """70,000 handwritten digits, 28×28 grey (LeCun et al., 1998); downloaded if absent."""

    type: Literal["mnist"] = "mnist"
    example = "data: {type: mnist, limit: 40, labels: 30, size: 7, pad: 1, split: {validation: 100, seed: 1}}"

    mirrors: ClassVar[tuple[str, ...]] = ("https://ossci-datasets.s3.amazonaws.com/mnist",
                                          "https://storage.googleapis.com/cvdf-datasets/mnist")

    def probe(self, where: Where) -> DataInfo:
        """Known without reading."""
        return describe(self, SET.outline())

    def read(self, where: Where) -> Raw:
        """Images [n, 1, 28, 28] and their labels; the official test part is kept."""
        return SET.read(self, where, self.mirrors)
