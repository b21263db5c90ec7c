"""A density without a closed form for its draws, for tests of Hamiltonian dynamics."""

from __future__ import annotations

import torch
from torch import Tensor


def bent(value: Tensor) -> Tensor:
    """A log-density that is no Gaussian, [M]."""
    return -(value.square().sum(1) / 2 + (2 * value).sin().prod(1))


def slope(value: Tensor) -> Tensor:
    """Its gradient, [M, D]."""
    at = value if value.requires_grad else value.detach().requires_grad_()
    return torch.autograd.grad(bent(at).sum(), at, create_graph=True)[0]
