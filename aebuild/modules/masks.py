"""Corruptions that hide parts of a sample and say which, so that a loss can be of these alone."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

from aebuild.modules.lengths import lengths_in, real_places
from aebuild.modules.patches import VISIBLE
from aebuild.modules.randomness import Random
from aebuild.modules.stage import Contextual

MASKED = "masked"          # in the context: True at elements that were hidden, as something that spreads over the sample [N, ...]


class Hiding(Random, Contextual):
    """Hides elements and leaves in the context which; several of them hide what any of them does."""

    masks = True

    def hide(self, masked: Tensor, context: dict[str, Any]) -> None:
        """Adds to what is hidden."""
        context[MASKED] = masked | context[MASKED] if MASKED in context else masked


class PatchMask(Hiding):
    """Hides `hidden` patches of each sample, drawn without repetition; the encoder gets the others alone (He et al., 2021).

    Patches of `size` lie on a `grid` over the `places`; features stand on `axis`. Hidden elements become 0.
    """

    def __init__(self, hidden: int, size: Sequence[int], grid: Sequence[int], places: Sequence[int], axis: int) -> None:
        super().__init__()
        self.hidden, self.size, self.grid, self.places, self.axis = hidden, tuple(size), tuple(grid), tuple(places), axis

    def forward(self, x: Tensor, context: dict[str, Any]) -> Tensor:
        """[N, ...] to the same."""
        count = prod(self.grid)
        order = self.drawn(torch.rand, (len(x), count), x.device).argsort(1)
        context[VISIBLE] = visible = order[:, self.hidden:].sort(1).values                            # (N, V)
        masked = torch.ones(len(x), count, dtype=torch.bool, device=x.device).scatter(1, visible, False)
        masked = _spread(masked.view(-1, *self.grid), self.size, self.places).unsqueeze(self.axis)
        self.hide(masked, context)
        return x.masked_fill(masked, 0.0)

    def extra_repr(self) -> str:
        """How many of how many."""
        return f"{self.hidden} of {prod(self.grid)}, size={self.size}"


def _spread(masked: Tensor, size: Sequence[int], places: Sequence[int]) -> Tensor:
    """[N, *grid] to [N, *places]."""
    for axis, (extent, place) in enumerate(zip(size, places, strict=True), start=1):
        masked = masked.repeat_interleave(extent, axis).narrow(axis, 0, place)
    return masked


class BlockMask(Hiding):
    """Hides `count` blocks of each sample at random places, which may overlap (Pathak et al., 2016); hidden elements become `value`.

    Blocks of `size` lie within the `places`; features stand on `axis`.
    """

    def __init__(self, count: int, size: Sequence[int], places: Sequence[int], axis: int, value: float) -> None:
        super().__init__()
        self.count, self.size, self.places, self.axis, self.value = count, tuple(size), tuple(places), axis, value

    def forward(self, x: Tensor, context: dict[str, Any]) -> Tensor:
        """[N, ...] to the same."""
        rank = len(self.places)
        chance = self.drawn(torch.rand, (len(x), self.count, rank), x.device)
        inside = torch.ones(len(x), self.count, *(1,) * rank, dtype=torch.bool, device=x.device)
        for axis, (size, place) in enumerate(zip(self.size, self.places, strict=True)):
            start = (chance[:, :, axis:axis + 1] * (place - size + 1)).floor().clamp(max=place - size)
            along = torch.arange(place, device=x.device)
            within = (along >= start) & (along < start + size)                                          # (N, count, S)
            inside = inside & within.view(len(x), self.count, *(place if other == axis else 1 for other in range(rank)))
        masked = inside.any(1).unsqueeze(self.axis)
        self.hide(masked, context)
        return x.masked_fill(masked, self.value)

    def extra_repr(self) -> str:
        """How many, and how large."""
        return f"{self.count} of {self.size}"


class TokenMask(Hiding):
    """Chooses each token with probability `ratio` and judges what the model makes of it (Devlin et al., 2018).

    Of chosen tokens the share `mask` becomes the symbol `classes`, which no text has, and the share `random` any token below it; the rest
    stays. Padding is never chosen.
    """

    def __init__(self, ratio: float, classes: int, mask: float, random: float) -> None:
        super().__init__()
        self.ratio, self.classes, self.mask, self.random = ratio, classes, mask, random

    def forward(self, x: Tensor, context: dict[str, Any]) -> Tensor:
        """[N, T] to the same."""
        chance = self.drawn(torch.rand, (*x.shape, 3), x.device)
        chosen, fate = chance[..., 0] < self.ratio, chance[..., 1]
        lengths = lengths_in(context)
        if lengths is not None:
            chosen = chosen & real_places(lengths, x)
        others = (chance[..., 2] * self.classes).long().clamp(max=self.classes - 1)
        self.hide(chosen, context)
        swapped = torch.where(chosen & (fate < self.mask + self.random), others, x)
        return swapped.masked_fill(chosen & (fate < self.mask), self.classes)

    def extra_repr(self) -> str:
        """Its shares."""
        return f"ratio={self.ratio}, mask={self.mask}, random={self.random}"
