"""Patches of a grid as places of a sequence: which of them an encoder sees, what stands for the others, and their own scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aebuild.modules.stage import Contextual

VISIBLE = "visible"        # in the context: the numbers of the patches that an encoder sees, [N, V], where it does not see all
FLAT = 1e-6               # added to a patch's variance (He et al., 2021)


class VisiblePatches(Contextual):
    """Keeps the patches that are visible, where some are hidden (He et al., 2021)."""

    def forward(self, x: Tensor, context: dict[str, Any] | None = None) -> Tensor:
        """[N, T, D] to [N, V, D]."""
        visible = _visible(context)
        return x if visible is None else x.gather(1, visible.unsqueeze(2).expand(-1, -1, x.shape[2]))


class MaskTokens(Contextual):
    """Puts visible patches back to their places among `length`, and one learned vector at all others (He et al., 2021)."""

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.length = length
        self.weight = nn.Parameter(torch.empty(width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Normal with standard deviation 0.02."""
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, x: Tensor, context: dict[str, Any] | None = None) -> Tensor:
        """[N, V, D] to [N, T, D]."""
        visible = _visible(context)
        if visible is None:
            return x
        empty = self.weight.to(x.dtype).expand(len(x), self.length, -1)
        return empty.scatter(1, visible.unsqueeze(2).expand_as(x), x)

    def extra_repr(self) -> str:
        """Length and width."""
        return f"{self.length}, {self.weight.shape[0]}"


def _visible(context: Mapping[str, Any] | None) -> Tensor | None:
    found: Tensor | None = None if context is None else context.get(VISIBLE)
    return found


class PatchScale(nn.Module):
    """Grids [N, C, *S] by the mean and deviation of each patch of the target, all channels together (He et al., 2021).

    A patch at a border that patches of `size` do not divide is filled up with zeros.
    """

    def __init__(self, size: Sequence[int]) -> None:
        super().__init__()
        self.size = tuple(size)

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        """Each patch of x less the mean of the target's, over its deviation."""
        mean, deviation = self.moments(target)
        return (x - mean) / deviation

    def restored(self, x: Tensor, target: Tensor) -> Tensor:
        """What `forward` undoes."""
        mean, deviation = self.moments(target)
        return x * deviation + mean

    def moments(self, target: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and deviation of the patch at each place, [N, 1, *S]."""
        places = target.shape[2:]
        short = [-place % size for place, size in zip(places, self.size, strict=True)]
        full = F.pad(target, [n for missing in reversed(short) for n in (0, missing)])
        cut = [n for place, size in zip(full.shape[2:], self.size, strict=True) for n in (place // size, size)]
        patches = full.reshape(*full.shape[:2], *cut)                                   # (N, C, t1, p1, t2, p2, ..)
        inside = [1, *range(3, patches.ndim, 2)]
        variance, mean = torch.var_mean(patches, inside, keepdim=True)
        return self._spread(mean, full.shape, places), self._spread((variance + FLAT).sqrt(), full.shape, places)

    def _spread(self, figure: Tensor, full: Sequence[int], places: Sequence[int]) -> Tensor:
        """[N, 1, t1, 1, t2, 1, ..] to [N, 1, *S]."""
        for axis, size in enumerate(self.size):
            figure = figure.repeat_interleave(size, 3 + 2 * axis)
        figure = figure.reshape(full[0], 1, *full[2:])
        for axis, place in enumerate(places, start=2):
            figure = figure.narrow(axis, 0, place)
        return figure

    def extra_repr(self) -> str:
        """The size."""
        return f"{self.size}"
