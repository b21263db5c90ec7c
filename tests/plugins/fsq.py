"""Finite scalar quantisation (Mentzer et al., 2023): each number of the code is rounded to one of a few levels."""

from __future__ import annotations

from math import log2, prod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from aebuild.lang.families import LatentPlan, Quantizer
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.values import Tokens, Value, elements

if TYPE_CHECKING:
    from torch import nn


class Rounded(Quantizer):
    """Rounds each number of the code to one of its levels; nothing is learned but the projection (Mentzer et al., 2023)."""

    type: Literal["rounded"] = "rounded"
    levels: list[int] = knob([8, 5, 5, 5], "how many levels each number has", affects="graph", min_length=1)
    example: ClassVar[str] = """\
data: digits
encoder: {layer: conv, width: [8, 8], stride: 2}
latent: {type: codebook, quantizer: {type: rounded, levels: [5, 4, 3]}, prior: empirical}
"""

    def features(self, latent: Any) -> int:
        """One for each entry of `levels`."""
        return len(self.levels)

    def plan_quantizer(self, latent: Any, value: Value, steps: tuple[Node, ...], site: Site) -> LatentPlan:
        """No weights: the levels stand in the spec."""
        code = steps[-1].output
        classes, width = prod(self.levels), elements(code) // len(self.levels)
        node = Node(site.path, "rounded", value, code, latent, {"levels": self.levels}, children=steps)
        return LatentPlan(node=node, code=code, values=elements(code), bits=log2(classes) * width, codes=Tokens(width, classes))

    def build_latent(self, latent: Any, node: Node, steps: dict[str, nn.Module], prior: Any) -> nn.Module:
        """The latent's module."""
        import torch
        from torch import Tensor

        from aebuild.modules.discrete import DiscreteLatent, straight_through

        class RoundedLatent(DiscreteLatent):
            """Levels between -1 and 1."""

            levels: Tensor
            basis: Tensor

            def __init__(self, levels: list[int]) -> None:
                super().__init__(steps, node.output.shape, node.output.feature_axis, prod(levels), prior=prior)
                self.register_buffer("levels", torch.tensor(levels), persistent=False)
                self.register_buffer("basis", torch.tensor([prod(levels[:i]) for i in range(len(levels))]), persistent=False)

            def quantize(self, z: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
                last = z.movedim(self.axis, -1)
                half = (self.levels - 1) * 0.999 / 2
                offset = torch.where(self.levels % 2 == 0, 0.5, 0.0)
                bounded = (last + (offset / half).atanh()).tanh() * half - offset
                middle = self.levels // 2
                rounded = bounded.round()
                indices = ((rounded + middle).long() * self.basis).sum(-1).flatten(1)
                return straight_through(rounded / middle, bounded / middle).movedim(-1, self.axis), indices.view(len(z), -1), {}

            def lookup(self, indices: Tensor) -> Tensor:
                middle = self.levels // 2
                digits = indices.unsqueeze(-1) // self.basis % self.levels                   # (N, P, D)
                return ((digits - middle) / middle).transpose(1, 2).reshape(-1, *self.shape) if self.axis == 1 \
                    else ((digits - middle) / middle).reshape(-1, *self.shape)

        return RoundedLatent(self.levels)
