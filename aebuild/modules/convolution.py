"""Convolutions of any rank from one set of arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn


def convolution(rank: int, inputs: int, outputs: int, *, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int],
                dilation: Sequence[int], groups: int, bias: bool, output_padding: Sequence[int] | None = None) -> nn.Module:
    """torch's convolution over `rank` axes; a transposed one if `output_padding` is given."""
    options: dict[str, Any] = {"kernel_size": tuple(kernel), "stride": tuple(stride), "padding": tuple(padding),
                               "dilation": tuple(dilation), "groups": groups, "bias": bias}
    if output_padding is not None:
        options["output_padding"] = tuple(output_padding)
        return (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)[rank - 1](inputs, outputs, **options)
    return (nn.Conv1d, nn.Conv2d, nn.Conv3d)[rank - 1](inputs, outputs, **options)
