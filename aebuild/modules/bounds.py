"""Bounds that keep logarithms and exponentials finite without killing gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

LOG_VARIANCE = (-20.0, 20.0)     # standard deviations from 4.5e-5 to 2.2e4


class _Bounded(torch.autograd.Function):
    """Clamps; a gradient passes outside the bounds only if a descent step along it leads back inside."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, low: float, high: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.bounds = low, high
        return x.clamp(low, high)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        x, = ctx.saved_tensors
        low, high = ctx.bounds
        outward = ((x < low) & (grad > 0)) | ((x > high) & (grad < 0))
        return grad.masked_fill(outward, 0), None, None


def bounded(x: Tensor, low: float, high: float) -> Tensor:
    """Clamped to [low, high]; unlike torch's clamp, values outside can still be pulled back in."""
    result: Tensor = _Bounded.apply(x, low, high)  # type: ignore[no-untyped-call]
    return result


def bounded_log_variance(x: Tensor) -> Tensor:
    """A log-variance within `LOG_VARIANCE`, so that neither it nor its inverse overflows."""
    return bounded(x, *LOG_VARIANCE)
