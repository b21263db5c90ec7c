"""Structural similarity of images as a loss."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from aebuild.modules.losses import Loss
from aebuild.modules.outputs import Outputs

LEAST = 1e-4          # of what is raised to a power below one


class Similarity(Loss):
    """One minus the structural similarity of target and reconstruction, [N]: 0 where they are equal (Wang et al., 2004).

    A Gaussian window of `window` places and deviation `sigma` slides over images whose values can differ by `extent`. With `weights`
    for several scales, each half as large as the one before, it is the product of their contrasts and the last one's similarity, each
    to the power of its weight (Wang et al., 2003).
    """

    kernel: Tensor

    def __init__(self, window: int, sigma: float, extent: float, weights: Sequence[float] = (1.0,)) -> None:
        super().__init__()
        self.weights, self.first, self.second = tuple(weights), (0.01 * extent) ** 2, (0.03 * extent) ** 2
        places = torch.arange(window) - (window - 1) / 2
        kernel = (-places.square() / (2 * sigma ** 2)).exp()
        self.register_buffer("kernel", kernel / kernel.sum(), persistent=False)

    def loss(self, outputs: Outputs) -> Tensor:
        """[N]."""
        return self(outputs.target, outputs.reconstruction)  # type: ignore[no-any-return]

    def forward(self, target: Tensor, other: Tensor) -> Tensor:
        """Images [N, C, H, W] twice to [N]."""
        if len(self.weights) == 1:
            return 1 - self._compared(target, other)[0]
        log = torch.zeros(len(target), dtype=target.dtype, device=target.device)
        for scale, weight in enumerate(self.weights):
            if scale:
                target, other = F.avg_pool2d(target, 2), F.avg_pool2d(other, 2)
            similarity, contrast = self._compared(target, other)
            part = similarity if scale == len(self.weights) - 1 else contrast
            log = log + weight * part.clamp(min=LEAST).log()
        return 1 - log.exp()

    def _compared(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Similarity, and its part without the means, [N] each."""
        mean_x, mean_y, square_x, square_y, both = self._blurred(torch.stack([x, y, x * x, y * y, x * y]))
        contrast = (2 * (both - mean_x * mean_y) + self.second) / (
            square_x - mean_x.square() + square_y - mean_y.square() + self.second)
        whole = contrast * (2 * mean_x * mean_y + self.first) / (mean_x.square() + mean_y.square() + self.first)
        return whole.flatten(1).mean(1), contrast.flatten(1).mean(1)

    def _blurred(self, images: Tensor) -> Tensor:
        """Weighted means of all whole windows, [5, N, C, H, W] to smaller images."""
        kernel = self.kernel.to(images.dtype)
        flat = images.flatten(0, 2).unsqueeze(1)                                    # (5·N·C, 1, H, W)
        across = F.conv2d(F.conv2d(flat, kernel.view(1, 1, -1, 1)), kernel.view(1, 1, 1, -1))
        return across.view(*images.shape[:3], *across.shape[2:])
