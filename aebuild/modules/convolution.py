"""Convolutions of any rank from one set of arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aebuild.modules.normalised_weight import normalised


def convolution(rank: int, inputs: int, outputs: int, *, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int],
                dilation: Sequence[int], groups: int, bias: bool, output_padding: Sequence[int] | None = None,
                weights: str = "free") -> nn.Module:
    """torch's convolution over `rank` axes; a transposed one if `output_padding` is given; `weights` says how the weight is written."""
    if weights != "free":
        shape = (outputs, inputs // groups) if output_padding is None else (inputs, outputs // groups)
        return normalised(weights, (*shape, *kernel), bias=bias, groups=groups, stride=tuple(stride), padding=tuple(padding),
                          dilation=tuple(dilation), output_padding=None if output_padding is None else tuple(output_padding))
    options: dict[str, Any] = {"kernel_size": tuple(kernel), "stride": tuple(stride), "padding": tuple(padding),
                               "dilation": tuple(dilation), "groups": groups, "bias": bias}
    if output_padding is not None:
        options["output_padding"] = tuple(output_padding)
        return (nn.ConvTranspose1d, ConvTranspose2d, nn.ConvTranspose3d)[rank - 1](inputs, outputs, **options)
    return (nn.Conv1d, nn.Conv2d, nn.Conv3d)[rank - 1](inputs, outputs, **options)


class ConvTranspose2d(nn.ConvTranspose2d):
    """torch's transposed convolution of images; with `adjoint` its gradients are those of the convolution that it transposes.

    They are the same sums. With channels last, oneDNN's kernel for the gradient of a transposed convolution's weights took up
    to twice as long on a CPU as that of the convolution.
    """

    adjoint = False

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """[N, C, H, W] to [N, C', H', W']."""
        whole = all(more < step for more, step in zip(self.output_padding, self.stride, strict=True))       # C maps back to H, W
        if not self.adjoint or not whole or output_size is not None:
            return super().forward(input, output_size)
        x, weight, bias = (_cast(part, input.device.type) for part in (input, self.weight, self.bias))
        result: Tensor = _Transposed.apply(  # type: ignore[no-untyped-call]
            x, weight, bias, self.stride, self.padding, self.output_padding, self.groups, self.dilation)
        return result


def _cast(part: Tensor | None, device: str) -> Tensor | None:
    """The tensor as autocast gives it to torch's convolutions; a function of our own it does not know."""
    wide = part is None or part.dtype == torch.float64 or not torch.is_autocast_enabled(device)
    return part if part is None or wide else part.to(torch.get_autocast_dtype(device))


class _Transposed(torch.autograd.Function):
    """y = Cᵀx for the convolution C with these weights: the gradient of x is C applied to that of y."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any, more: Any, groups: int,
                dilation: Any) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.how = (stride, padding, dilation, groups)
        return F.conv_transpose2d(x, weight, bias, stride, padding, more, groups, dilation)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        stride, padding, dilation, groups = ctx.how
        needs = ctx.needs_input_grad
        for_x = F.conv2d(grad, weight, None, stride, padding, dilation, groups) if needs[0] else None
        for_weight = torch.ops.aten.convolution_backward(x, grad, weight, None, stride, padding, dilation, False, (0, 0), groups,
                                                         [False, True, False])[1] if needs[1] else None
        return for_x, for_weight, grad.sum((0, 2, 3)) if needs[2] else None, None, None, None, None, None
