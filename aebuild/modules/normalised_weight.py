"""Linear maps and convolutions whose weight is normalised before it is used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

DOWN: tuple[Callable[..., Tensor], ...] = (F.linear, F.conv1d, F.conv2d, F.conv3d)
UP: tuple[Callable[..., Tensor], ...] = (F.linear, F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)
FIRST_STEPS = 30         # steps of the power method for a new weight


class NormalisedWeight(nn.Module):
    """A map by a weight of which `scale` divides or multiplies the rows, those of its outputs.

    The weight has torch's shape: [out, in] of a linear map, [out, in / groups, *kernel] of a convolution and, where `output_padding` is
    given, [in, out / groups, *kernel] of a transposed one.
    """

    def __init__(self, shape: Sequence[int], *, bias: bool, groups: int = 1, output_padding: Sequence[int] | None = None,
                 **options: Any) -> None:
        super().__init__()
        self.transposed = output_padding is not None
        self.groups, self.options = groups, dict(options)
        rank = len(shape) - 2
        if rank:
            self.options["groups"] = groups
        if self.transposed:
            self.options["output_padding"] = output_padding
        self.apply_to = (UP if self.transposed else DOWN)[rank]
        self.outputs = shape[1] * groups if self.transposed else shape[0]
        fan_in = prod(shape) // self.outputs
        self.weight = nn.Parameter(torch.empty(*shape).uniform_(-1, 1) / fan_in**0.5)
        self.bias = nn.Parameter(torch.zeros(self.outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """[N, in, ...] to [N, out, ...]; a linear map takes features last."""
        rows = self.rows()
        return self.apply_to(x, self.as_weight(rows * self.scale(rows)), self.bias, **self.options)

    def scale(self, rows: Tensor) -> Tensor:
        """What the rows [out, in·taps] are multiplied by."""
        raise TypeError(f"{type(self).__name__} has no scale")

    def settle(self) -> None:
        """Called once the weight was drawn."""

    def rows(self) -> Tensor:
        """The weight as a matrix with a row for each output."""
        weight: Tensor = self.weight
        if self.transposed:                                                   # (in, out / g, *k) to (g, out / g, in / g, *k)
            weight = weight.view(self.groups, -1, *weight.shape[1:]).transpose(1, 2).flatten(0, 1)
        return weight.flatten(1)

    def as_weight(self, rows: Tensor) -> Tensor:
        """The way back."""
        shape = self.weight.shape
        if not self.transposed:
            return rows.view(shape)
        return rows.view(self.groups, shape[1], shape[0] // self.groups, *shape[2:]).transpose(1, 2).reshape(shape)


class WeightNormed(NormalisedWeight):
    """Rows of the weight as `gain` times a direction (Salimans and Kingma, 2016)."""

    def __init__(self, shape: Sequence[int], *, bias: bool, **options: Any) -> None:
        super().__init__(shape, bias=bias, **options)
        self.gain = nn.Parameter(torch.ones(self.outputs))
        self.settle()

    def scale(self, rows: Tensor) -> Tensor:
        """The gain over the length of each row, [out, 1]."""
        length = torch.linalg.vector_norm(rows, dim=1)
        return torch.unsqueeze(self.gain / length, 1)

    @torch.no_grad()
    def settle(self) -> None:
        """Gains with which the map is that of the weight as it was drawn."""
        self.gain.copy_(torch.linalg.vector_norm(self.rows(), dim=1))


class SpectralNormed(NormalisedWeight):
    """The weight over its largest singular value, by a step of the power method a pass (Miyato et al., 2018).

    `left`, [out], is the singular vector so far; training moves it, evaluation leaves it.
    """

    left: Tensor

    def __init__(self, shape: Sequence[int], *, bias: bool, **options: Any) -> None:
        super().__init__(shape, bias=bias, **options)
        self.register_buffer("left", torch.randn(self.outputs))
        self.settle()

    def scale(self, rows: Tensor) -> Tensor:
        """One over uᵀWv; its gradient holds the singular vectors u and v."""
        with torch.no_grad():
            left, right = self.left, _unit(torch.mv(rows.t(), self.left))
            if self.training:
                left = _unit(torch.mv(rows, right))
                self.left.copy_(left)
        return 1 / (left * torch.mv(rows, right)).sum().clamp(min=torch.finfo(rows.dtype).tiny)

    @torch.no_grad()
    def settle(self) -> None:
        """A singular vector of the weight as it was drawn."""
        rows, left = self.rows(), self.left
        for _ in range(FIRST_STEPS):
            left = _unit(torch.mv(rows, _unit(torch.mv(rows.t(), left))))
        self.left.copy_(left)


def _unit(vector: Tensor) -> Tensor:
    return F.normalize(vector, dim=0)


def normalised(how: str, shape: Sequence[int], *, bias: bool, **options: Any) -> NormalisedWeight:
    """The map of this shape with a `weight_norm` or a `spectral_norm`."""
    return (WeightNormed if how == "weight_norm" else SpectralNormed)(shape, bias=bias, **options)
