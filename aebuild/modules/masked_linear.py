"""A linear map of which a mask lets only a part through."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class MaskedLinear(nn.Linear):
    """A linear map without some of its weights (MADE, Germain et al., 2015); the mask is [outputs, inputs]."""

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__(mask.shape[1], mask.shape[0])
        self.register_buffer("mask", mask.float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """[N, inputs] to [N, outputs]."""
        return F.linear(x, self.weight * self.mask, self.bias)
