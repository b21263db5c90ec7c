"""SimVQ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from aebuild.lang.codebook_quantizer import CodebookQuantizer
from aebuild.lang.node import Node
from aebuild.lang.part import knob

if TYPE_CHECKING:
    from torch import nn


class Simvq(CodebookQuantizer):
    """The nearest entry of a random codebook under a learned map (Zhu et al., 2024).

    Entries are drawn once; one linear map of all of them learns, so that every step moves every entry and none dies.
    """

    type: Literal["simvq"] = "simvq"
    example = ("encoder: {layer: conv, width: 4, stride: 2}\n"
               "latent: {type: codebook, codes: 8, dim: 4, groups: 2, quantizer: {type: simvq, estimator: rotation}}\n"
               "losses: {commitment: {weight: 0.25}}")
    also = ("sim_vq", "simple_vq", "reparameterized")
    takes = ("codes", "dim", "groups", "shared")
    kind = "mapped codebook"
    estimator: Literal["straight_through", "rotation"] = knob(
        "straight_through", "gradient of the encoder: that of the entry as it is, or turned and stretched as the vector is to become the "
                            "entry (Fifty et al., 2024)", affects="gradient")

    def trained(self, latent: Any) -> bool:
        """The map is, by the term `codebook`."""
        return True

    def tensors(self, latent: Any, features: int) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
        """The map of each book, and the entries."""
        books = self.books(latent)
        return {"transform": (books, features, features)}, {"codebook": (*((books,) if books > 1 else ()), latent.codes, features)}

    def costs(self, latent: Any, size: int, features: int) -> int:
        """The search, and the map of the entries that are found."""
        return super().costs(latent, size, features) + size * features

    def build_latent(self, latent: Any, node: Node, steps: dict[str, nn.Module], prior: Any) -> nn.Module:
        """The latent's module."""
        from aebuild.modules.fixed_codebook import SimVqLatent

        return SimVqLatent(steps, self.compared(node), node.output.feature_axis, latent.codes, latent.groups, prior=prior,
                           shared=latent.shared, rotation=self.estimator == "rotation")
