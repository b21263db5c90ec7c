"""The argument of a rising function, where no formula gives it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

HALVINGS = 60


@torch.no_grad()
def argument_of(value: Tensor, rising: Callable[[Tensor], Tensor], low: float, high: float) -> Tensor:
    """Where an elementwise function that rises over [low, high] has the value; the nearer end where it never has."""
    least, most = torch.full_like(value, low), torch.full_like(value, high)
    for _ in range(HALVINGS):
        middle = (least + most) / 2
        under = rising(middle) < value
        least, most = torch.where(under, middle, least), torch.where(under, most, middle)
    return (least + most) / 2
