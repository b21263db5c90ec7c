"""A dictionary: a linear map whose columns are what the units of a code stand for."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class UnitLinear(nn.Linear):
    """A linear map whose columns have norm 1, whatever the norms of `weight` are.

    So a gradient never points along a column, as if that part of it were taken out (Bricken et al., 2023).
    """

    def columns(self) -> Tensor:
        """The map, [out, in]."""
        return F.normalize(self.weight, dim=0)

    def forward(self, x: Tensor) -> Tensor:
        """[N, ..., in] to [N, ..., out]."""
        return F.linear(x, self.columns(), self.bias)


def columns_of(linear: nn.Linear) -> Tensor:
    """What each unit stands for, [out, in]."""
    return linear.columns() if isinstance(linear, UnitLinear) else linear.weight


def dictionary_of(decoder: nn.Module) -> nn.Linear:
    """The one linear map that the decoder is."""
    found, = (module for module in decoder.modules() if isinstance(module, nn.Linear))
    return found


class TiedProjection(nn.Module):
    """The transpose of a decoder's linear map, with a bias of its own; `follow` says of which."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(units))
        self.followed: tuple[nn.Linear, ...] = ()             # in a tuple it is no part of this module

    def follow(self, linear: nn.Linear) -> None:
        """From now on it is this map's transpose."""
        self.followed = (linear,)

    def forward(self, x: Tensor) -> Tensor:
        """[N, ..., out of the map] to [N, ..., in]."""
        linear, = self.followed
        return F.linear(x, columns_of(linear).T, self.bias)
