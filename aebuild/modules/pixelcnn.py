"""Gated PixelCNN: a grid of indices, each from those above it and to its left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aebuild.modules.above import ABOVE, UNTOLD, ToldPrior
from aebuild.modules.prior_autoregressive import picked
from aebuild.modules.priors import Prior


class GatedLayer(nn.Module):
    """One layer of two stacks (van den Oord et al., 2016), which together see all that was before and nothing after.

    The vertical stack sees the rows above and, but for the `first` layer, its own row of what saw the rows above only. The
    horizontal stack sees the places to the left, but for the first layer its own too, and what the vertical stack made.
    """

    def __init__(self, inputs: int, width: int, kernel: int, *, first: bool) -> None:
        super().__init__()
        self.reach, self.first = kernel // 2, first
        more = 0 if first else 1
        self.vertical = nn.Conv2d(inputs, 2 * width, (self.reach + more, kernel))
        self.horizontal = nn.Conv2d(inputs, 2 * width, (1, self.reach + more))
        self.across = nn.Conv2d(2 * width, 2 * width, 1)
        self.out = nn.Conv2d(width, width, 1)

    def forward(self, v: Tensor, h: Tensor, told: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Both stacks, [N, C, H, W] each, to [N, width, H, W]; `told` [N, 4·width, H or 1, W or 1] is added in front of the gates."""
        reach, last = self.reach, -1 if self.first else 0                # the first layer leaves out the last row and column
        above = self.vertical(F.pad(v, (reach, reach, reach, last)))
        left = self.horizontal(F.pad(h, (reach, last))) + self.across(above)
        if told is not None:
            for_above, for_left = told.chunk(2, 1)
            above, left = above + for_above, left + for_left
        made = self.out(gated(left))
        return gated(above), made if self.first else h + made


def gated(x: Tensor) -> Tensor:
    """tanh of one half of the channels [N, 2·C, ...] times the sigmoid of the other."""
    values, gates = x.chunk(2, 1)
    return values.tanh() * gates.sigmoid()


class PixelCnnPrior(Prior):
    """Indices below K of a grid of `rows`, [n, L] in raster order, each from those before it; without a blind spot.

    With the shape [C, h, w] of the code `above` it every layer is told that code, which the context has flat, brought to the grid.
    """

    def __init__(self, length: int, classes: int, rows: int, width: int, depth: int, kernel: int, *, temperature: float = 1.0,
                 top_k: int | None = None, above: Sequence[int] | None = None) -> None:
        super().__init__((length,))
        self.rows, self.temperature, self.top_k = rows, temperature, top_k
        self.embed = nn.Embedding(classes, width)
        self.layers = nn.ModuleList([GatedLayer(width, width, kernel, first=number == 0) for number in range(depth)])
        self.hidden = nn.Conv2d(width, width, 1)
        self.output = nn.Conv2d(width, classes, 1)
        self.reads = None if above is None else tuple(above)
        if above is not None:
            self.above = nn.ModuleList([nn.Conv2d(above[0], 4 * width, 1, bias=False) for _ in range(depth)])

    def given(self, context: dict[str, Any]) -> Prior:
        """The prior of samples whose code above is known."""
        if self.reads is None or ABOVE not in context:
            return self
        code, size = context[ABOVE].reshape(-1, *self.reads), (self.rows, self.shape[0] // self.rows)
        return ToldPrior(self, [F.interpolate(layer(code), size=size, mode="nearest") for layer in self.above])

    def logits(self, codes: Tensor, rows: int | None = None, told: Sequence[Tensor] = ()) -> Tensor:
        """[N, K, L], at each place of what the places before it leave open; the first `rows` are enough for what is in them.

        `told` is what each layer is told of the code above, [N, 4·width, H, W].
        """
        if self.reads is not None and not told:
            raise ValueError(UNTOLD)
        x = self.embed(codes.view(len(codes), rows or self.rows, -1)).permute(0, 3, 1, 2)  # (N, width, H, W)
        v, h = x, x
        for number, layer in enumerate(self.layers):
            v, h = layer(v, h, told[number][:, :, :x.shape[2]] if told else None)
        out: Tensor = self.output(self.hidden(h.relu()).relu()).flatten(2)
        return out

    def log_prob(self, codes: Tensor, told: Sequence[Tensor] = ()) -> Tensor:
        """[N]."""
        return -F.cross_entropy(self.logits(codes, told=told), codes, reduction="none").sum(1)

    def draw(self, n: int, device: torch.device, told: Sequence[Tensor] = ()) -> Tensor:
        """[n, L], one place after the other."""
        found = torch.zeros(n, *self.shape, dtype=torch.int64, device=device)
        columns = self.shape[0] // self.rows
        for place, chance in enumerate(self.uniform(n, self.shape[0], device).unbind(1)):
            rows = place // columns + 1
            logits = self.logits(found[:, :rows * columns].contiguous(), rows, told)[:, :, place]
            found[:, place] = picked(logits, chance.unsqueeze(1), self.temperature, self.top_k)
        return found
