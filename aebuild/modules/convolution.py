"""Convolutions of any rank from one set of arguments."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn


def convolution(rank: int, inputs: int, outputs: int, *, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int],
                dilation: Sequence[int], groups: int, bias: bool, output_padding: Sequence[int] | None = None) -> nn.Module:
    """torch's convolution over `rank` axes; a transposed one if `output_padding` is given."""
    if output_padding is not None:
        up = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[rank - 1]
        return up(inputs, outputs, tuple(kernel), tuple(stride), tuple(padding), tuple(output_padding), groups, bias, tuple(dilation))
    down = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[rank - 1]
    return down(inputs, outputs, tuple(kernel), tuple(stride), tuple(padding), tuple(dilation), groups, bias)
