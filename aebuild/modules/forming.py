"""Changes of the input's type, which are part of what a model takes: fewer places, one channel."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F


class Forming(nn.Module):
    """A change that is made in recorded programs too, since the encoder takes nothing else; `plain` names the simplest way back."""

    plain: str

    def back(self, x: Tensor) -> Tensor:
        """The target as anybody would guess it from the changed input."""
        raise TypeError(f"{type(self).__name__} has no way back")


class Downsample(Forming):
    """Fewer places, [N, C, *S] to [N, C, *(S / factor)]: means of blocks, or bicubic interpolation of images (Keys, 1981)."""

    plain = "interpolation"

    def __init__(self, factor: int | Sequence[int], by: str) -> None:
        super().__init__()
        self.factor, self.by = factor, by

    def forward(self, x: Tensor) -> Tensor:
        """Smaller along each axis."""
        rank = x.ndim - 2
        factor = (self.factor,) * rank if isinstance(self.factor, int) else tuple(self.factor)
        if self.by == "bicubic":
            size = [have // by for have, by in zip(x.shape[2:], factor, strict=True)]
            return F.interpolate(x, size, mode="bicubic", align_corners=False, antialias=True)
        return (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[rank - 1](x, factor)

    def back(self, x: Tensor) -> Tensor:
        """Interpolated to as many places as before."""
        rank = x.ndim - 2
        factor = (self.factor,) * rank if isinstance(self.factor, int) else tuple(self.factor)
        size = [have * by for have, by in zip(x.shape[2:], factor, strict=True)]
        return F.interpolate(x, size, mode=("linear", "bicubic", "trilinear")[rank - 1], align_corners=False)


class Grayscale(Forming):
    """Brightness of red, green and blue, [N, 3, *S] to [N, 1, *S] (ITU-R BT.601)."""

    plain = "grey"
    SHARES = (0.299, 0.587, 0.114)

    def forward(self, x: Tensor) -> Tensor:
        """One channel."""
        red, green, blue = (share * channel for share, channel in zip(self.SHARES, x.unbind(1), strict=True))
        return (red + green + blue).unsqueeze(1)

    def back(self, x: Tensor) -> Tensor:
        """The same in each channel."""
        return x.repeat_interleave(3, 1)
