"""Random projection quantisation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from aebuild.lang.codebook_quantizer import CodebookQuantizer
from aebuild.lang.node import Node
from aebuild.lang.part import knob

if TYPE_CHECKING:
    from torch import nn


class RandomProjection(CodebookQuantizer):
    """The nearest fixed random direction to a fixed random projection (Chiu et al., 2022).

    Neither the projection nor the codebook learns: the encoder must make of its input what the random codes can keep.
    """

    type: Literal["random_projection"] = "random_projection"
    example = ("encoder: {layer: conv, width: 4, stride: 2}\n"
               "latent: {type: codebook, codes: 8, dim: 4, groups: 2, quantizer: {type: random_projection, width: 6}}\n"
               "losses: {commitment: {weight: 0.25}}")
    also = ("best_rq", "bestrq", "random", "random_projection_quantizer")
    takes = ("codes", "dim", "groups")
    kind = "random codebook"
    width: int = knob(64, "features at each place that the random matrix takes to the `dim` of the entries", affects="graph", ge=1)

    def features(self, latent: Any) -> int:
        """Those that are projected."""
        return self.width

    def trained(self, latent: Any) -> bool:
        """Nothing is."""
        return False

    def tensors(self, latent: Any, features: int) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
        """Both are drawn once."""
        book = (*((latent.groups,) if latent.groups > 1 else ()), latent.codes, features)
        return {}, {"codebook": book, "directions": (latent.groups, self.width, features)}

    def costs(self, latent: Any, size: int, features: int) -> int:
        """The projection, and the search."""
        return super().costs(latent, size, features) + size * self.width

    def build_latent(self, latent: Any, node: Node, steps: dict[str, nn.Module], prior: Any) -> nn.Module:
        """The latent's module."""
        from aebuild.modules.fixed_codebook import RandomProjectionLatent

        return RandomProjectionLatent(steps, self.compared(node), node.output.feature_axis, latent.codes, latent.groups, prior=prior,
                                      inputs=self.width)
