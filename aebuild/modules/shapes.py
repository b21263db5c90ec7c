"""Modules that move, cut, pad and resize, without parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from aebuild.modules.lengths import lengths_in, mean_place, silenced
from aebuild.modules.stage import Contextual, taken


class SequenceBatchNorm(nn.BatchNorm1d):
    """BatchNorm over the features of [N, T, D]."""

    def forward(self, input: Tensor) -> Tensor:
        """[N, T, D] to the same."""
        return super().forward(input.flatten(0, 1)).view_as(input)


class Unflatten(nn.Module):
    """[N, prod(shape)] to [N, *shape]."""

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = tuple(shape)

    def forward(self, x: Tensor) -> Tensor:
        """Adds the axes."""
        return x.reshape(x.shape[0], *self.shape)

    def extra_repr(self) -> str:
        """The shape."""
        return str(self.shape)


class Transpose(nn.Module):
    """Features last to channels first, [N, T, D] to [N, D, T], and back."""

    def forward(self, x: Tensor) -> Tensor:
        """Swaps the last two axes."""
        return x.transpose(1, 2)


class Raster(nn.Module):
    """A grid to a sequence in raster order, [N, C, *S] to [N, prod(S), C]."""

    def forward(self, x: Tensor) -> Tensor:
        """Row by row."""
        return x.flatten(2).transpose(1, 2)


class Unraster(nn.Module):
    """A sequence back to a grid, [N, prod(S), C] to [N, C, *S]."""

    def __init__(self, size: Sequence[int]) -> None:
        super().__init__()
        self.size = tuple(size)

    def forward(self, x: Tensor) -> Tensor:
        """Row by row."""
        return x.transpose(1, 2).reshape(x.shape[0], x.shape[2], *self.size)


class Mean(Contextual):
    """The mean over all places, of series of unequal length over the real ones; channels on axis `features`."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features

    def forward(self, x: Tensor, context: dict[str, Any] | None = None) -> Tensor:
        """[N, C, *S] or [N, T, D] to [N, C]."""
        return x.flatten(2).mean(2) if self.features == 1 else mean_place(x, lengths_in(context))


def flatten(series: bool) -> nn.Module:
    """Everything to one long vector; of series, of which only the real places may count, by a module that knows of lengths."""
    return FlattenSeries() if series else nn.Flatten()


class FlattenSeries(Contextual):
    """A sequence to one long vector, [N, T, D] to [N, T·D], with zeros behind the end of each series."""

    def forward(self, x: Tensor, context: dict[str, Any] | None = None) -> Tensor:
        """Place by place."""
        return silenced(x, lengths_in(context)).flatten(1)


class Crop(nn.Module):
    """Cuts a grid to a size, keeping the middle."""

    def __init__(self, size: Sequence[int]) -> None:
        super().__init__()
        self.size = tuple(size)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, *S] to [N, C, *size]."""
        for axis, size in enumerate(self.size, start=2):
            x = x.narrow(axis, (x.shape[axis] - size) // 2, size)
        return x


class Pad(nn.Module):
    """Zeros around a grid; `padding` is (before, after) per axis, first axis first."""

    def __init__(self, padding: Sequence[Sequence[int]]) -> None:
        super().__init__()
        self.padding = tuple(n for pair in reversed(padding) for n in pair)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, *S] to a larger grid."""
        return F.pad(x, self.padding)


class Resize(nn.Module):
    """Resamples a grid to a size, by nearest neighbours or linearly."""

    def __init__(self, size: Sequence[int], mode: str) -> None:
        super().__init__()
        self.size = tuple(size)
        self.mode = mode

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, *S] to [N, C, *size]."""
        if self.mode == "nearest":
            return F.interpolate(x, self.size)
        return F.interpolate(x, self.size, mode=("linear", "bilinear", "trilinear")[len(self.size) - 1], align_corners=False)


class Shuffle(nn.Module):
    """Channels to space in any number of axes, [N, C·prod(f), *S] to [N, C, *S·f] (Shi et al., 2016)."""

    def __init__(self, factor: Sequence[int]) -> None:
        super().__init__()
        self.factor = tuple(factor)

    def forward(self, x: Tensor) -> Tensor:
        """Interleaves the channels of one place into a block of places."""
        n, rank = x.shape[0], len(self.factor)
        channels = x.shape[1] // prod(self.factor)
        x = x.reshape(n, channels, *self.factor, *x.shape[2:])                       # (N, C, f1.., S1..)
        order = [0, 1] + [axis for i in range(rank) for axis in (2 + rank + i, 2 + i)]
        size = [x.shape[2 + rank + i] * self.factor[i] for i in range(rank)]
        return x.permute(order).reshape(n, channels, *size)


class Residual(Contextual):
    """The input, by a shortcut, plus what the body makes of it (He et al., 2015)."""

    def __init__(self, steps: Mapping[str, nn.Module], shortcut: nn.Module | None, activation: nn.Module | None) -> None:
        super().__init__()
        for name, step in steps.items():
            self.add_module(name, step)
        self.order = tuple(steps)
        self.shortcut = shortcut
        self.activation = activation

    def forward(self, x: Tensor, context: dict[str, Any] | None = None) -> Tensor:
        """[N, ...] to [N, ...]."""
        y = x
        for name in self.order:
            y = taken(self.get_submodule(name), y, {} if context is None else context)
        y = y + (x if self.shortcut is None else self.shortcut(x))
        return y if self.activation is None else self.activation(y)
