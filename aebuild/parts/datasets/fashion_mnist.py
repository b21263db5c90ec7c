"""The Fashion-MNIST pictures of clothes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from aebuild.data.download import Remote
from aebuild.data.probe import describe
from aebuild.data.remote_datasets import IdxSet
from aebuild.lang.dataset import DataInfo, HeldOut, Known, Labelled, Pictured, Sampled, Where

if TYPE_CHECKING:
    from aebuild.data.raw_samples import Raw

SET = IdxSet("Fashion-MNIST", "fashion-mnist", (
    Remote("train-images-idx3-ubyte.gz", 26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
           "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
    Remote("train-labels-idx1-ubyte.gz", 29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
           "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
    Remote("t10k-images-idx3-ubyte.gz", 4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
           "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
    Remote("t10k-labels-idx1-ubyte.gz", 5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
           "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
), ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"))


class FashionMnist(Sampled, HeldOut, Labelled, Pictured, Known):
    """70,000 pictures of clothes, 28×28 grey (Xiao et al., 2017); downloaded if absent."""

    type: Literal["fashion_mnist"] = "fashion_mnist"
    example = "data: {type: fashion_mnist, limit: 40, labels: 30, size: 7, pad: 1, split: {validation: 0.01}}"
    also = ("fmnist",)

    mirrors: ClassVar[tuple[str, ...]] = ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
                                          "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion")

    def probe(self, where: Where) -> DataInfo:
        """Known without reading."""
        return describe(self, SET.outline())

    def read(self, where: Where) -> Raw:
        """Images [n, 1, 28, 28] and their labels; the official test part is kept."""
        return SET.read(self, where, self.mirrors)
