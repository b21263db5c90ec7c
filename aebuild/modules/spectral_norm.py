"""Layers whose weight matrices have a largest singular value of one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

SQUARINGS = 7          # of the Gram matrix: as many as 2⁷ steps of the power method, without a state to keep


def largest_singular_value(matrix: Tensor) -> Tensor:
    """Of a matrix [R, C]; its gradient is that of u·(W v) with the singular vectors held (Miyato et al., 2018)."""
    with torch.no_grad():
        own = matrix.detach()
        wide = own.shape[0] <= own.shape[1]
        gram = own @ own.T if wide else own.T @ own
        for _ in range(SQUARINGS):
            gram = gram / gram.diagonal().sum().clamp(min=torch.finfo(gram.dtype).tiny)
            gram = gram @ gram
        vector = nn.functional.normalize(gram.index_select(1, gram.diagonal().argmax().view(1)).squeeze(1), dim=0)
        other = nn.functional.normalize(own.T @ vector if wide else own @ vector, dim=0)
        left, right = (vector, other) if wide else (other, vector)
    size: Tensor = left @ (matrix @ right)
    return size


def divided(module: Any, _given: Any, output: Tensor) -> Tensor:
    """A layer's output as if its weight were divided by its largest singular value; the bias stays."""
    weight: Tensor = module.weight
    size = largest_singular_value(weight.flatten(1)).clamp(min=torch.finfo(output.dtype).tiny)
    bias: Tensor | None = module.bias
    if bias is None:
        return output / size
    if not isinstance(module, nn.Linear):
        bias = bias.view(-1, *(1,) * (weight.ndim - 2))
    return (output - bias) / size + bias


def normalise(network: nn.Module) -> None:
    """Lets every linear layer and convolution of a network compute with its normalised weight; weights and names stay as they are."""
    for module in network.modules():
        if isinstance(module, nn.Linear | nn.modules.conv._ConvNd):
            module.register_forward_hook(divided)
