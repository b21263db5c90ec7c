"""Vector quantisation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from aebuild.lang.codebook_quantizer import LearnedCodebookQuantizer
from aebuild.lang.node import Node
from aebuild.lang.part import knob

if TYPE_CHECKING:
    from torch import nn


class Vq(LearnedCodebookQuantizer):
    """The nearest entry of a learned codebook (van den Oord et al., 2017).

    Several `groups` are product quantisation, heads or factors by other names: each part of the features has an index of its own.
    """

    type: Literal["vq"] = "vq"
    example = ("encoder: {layer: conv, width: 4, stride: 2}\n"
               "latent: {type: codebook, codes: 4, dim: 4, quantizer: {type: vq, project: 2, distance: cosine, estimator: rotation}}\n"
               "losses: {commitment: {weight: 0.5}}")
    also = ("vector", "vector_quantization", "nearest", "euclidean", "product", "pq", "product_quantization")
    distance: Literal["euclidean", "cosine"] = knob(
        "euclidean", "what is near: entries at a small distance, or in a similar direction; then vectors and entries have length one "
                     "(Yu et al., 2021)", affects="gradient")

    def build_latent(self, latent: Any, node: Node, steps: dict[str, nn.Module], prior: Any) -> nn.Module:
        """The latent's module."""
        from aebuild.modules.codebook import CodebookLatent

        options = self.built_options(latent, steps, prior)
        return CodebookLatent(steps, self.compared(node), node.output.feature_axis, latent.codes, latent.groups,
                              cosine=self.distance == "cosine", **options)
