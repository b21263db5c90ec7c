"""What is known of each sample, told to a network on its way."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aebuild.modules.stage import Contextual


def told(context: Mapping[str, Any], key: str, rows: int) -> Tensor:
    """What the context holds of each of so many samples under `key`, [rows, F]; one row stands for all of them."""
    if key not in context:
        raise ValueError(f"this model is told more of a sample than its values: give `{key}`, a tensor [N, F]")
    held: Tensor = context[key]
    held = held.flatten(1)
    if held.shape[0] == 1:
        return held.expand(rows, -1)
    if held.shape[0] != rows:
        raise ValueError(f"`{key}` has {held.shape[0]} rows, and there are {rows} samples")
    return held


class Conditioned(Contextual):
    """A step that reads the features `first` to `last` of what stands under `key` in the context, [N, F].

    `axis` is that of the features of what it gets, 1 of vectors and grids, -1 of sequences.
    """

    def __init__(self, key: str, first: int, last: int, axis: int) -> None:
        super().__init__()
        self.key, self.first, self.last, self.axis = key, first, last, axis

    def told(self, x: Tensor, context: dict[str, Any]) -> Tensor:
        """Its features of each sample, [N, last − first]."""
        return told(context, self.key, x.shape[0])[:, self.first:self.last]

    def beside(self, features: Tensor, x: Tensor) -> Tensor:
        """[N, C] with axes of one, so that it meets every place of x."""
        if self.axis == 1:
            return features.reshape(*features.shape, *(1,) * (x.ndim - 2))
        return features.unsqueeze(1)


class Concatenated(Conditioned):
    """Its features stand beside those of the input, at each place (Sohn et al., 2015)."""

    def forward(self, x: Tensor, context: dict[str, Any]) -> Tensor:
        """[N, C, *S] to [N, C + F, *S], or [N, T, D] to [N, T, D + F]."""
        features = self.beside(self.told(x, context), x)
        places = (*features.shape[:2], *x.shape[2:]) if self.axis == 1 else (*x.shape[:2], features.shape[2])
        return torch.cat([x, features.expand(places)], self.axis)


class Film(Conditioned):
    """Scales and shifts each feature: x·(1 + γ) + β, both linear in the condition (Perez et al., 2018).

    γ and β begin at zero, so that the network begins as the one that is told nothing.
    """

    def __init__(self, key: str, first: int, last: int, axis: int, channels: int) -> None:
        super().__init__(key, first, last, axis)
        self.map = nn.Linear(last - first, 2 * channels)
        nn.init.zeros_(self.map.weight)
        nn.init.zeros_(self.map.bias)

    def forward(self, x: Tensor, context: dict[str, Any]) -> Tensor:
        """The same shape."""
        scale, shift = self.map(self.told(x, context)).chunk(2, 1)
        return self.normal(x) * (1 + self.beside(scale, x)) + self.beside(shift, x)

    def normal(self, x: Tensor) -> Tensor:
        """What is scaled and shifted."""
        return x


class AdaptiveNorm(Film):
    """Normalises each sample, then scales and shifts by the condition: a grid's channels in groups (Dhariwal and Nichol, 2021)."""

    def __init__(self, key: str, first: int, last: int, axis: int, channels: int, groups: int = 1) -> None:
        super().__init__(key, first, last, axis, channels)
        self.groups = groups

    def normal(self, x: Tensor) -> Tensor:
        """Mean 0 and variance 1: of the features at each place of a sequence and of a vector, of each group of a grid."""
        return F.group_norm(x, self.groups) if self.axis == 1 and x.ndim > 2 else F.layer_norm(x, x.shape[-1:])


class CrossAttention(Conditioned):
    """Each place asks a few tokens that the condition is turned to, and adds what it is answered (Rombach et al., 2022).

    What is added begins at zero: the last map does.
    """

    def __init__(self, key: str, first: int, last: int, axis: int, channels: int, tokens: int, heads: int) -> None:
        super().__init__(key, first, last, axis)
        self.tokens, self.heads = tokens, heads
        self.query = nn.Linear(channels, channels)
        self.tell = nn.Linear(last - first, tokens * 2 * channels)
        self.out = nn.Linear(channels, channels)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, context: dict[str, Any]) -> Tensor:
        """The same shape."""
        places = x if self.axis == -1 else x.flatten(2).transpose(1, 2)                                # (N, T, C)
        q = self.query(places).unflatten(2, (self.heads, -1)).transpose(1, 2)                          # (N, heads, T, d)
        asked = self.tell(self.told(x, context)).unflatten(1, (self.tokens, 2, self.heads, -1))
        k, v = asked.permute(2, 0, 3, 1, 4).unbind()                                                   # (N, heads, tokens, d) each
        answer = ((q @ k.transpose(2, 3)) / math.sqrt(q.shape[3])).softmax(3) @ v
        added: Tensor = self.out(answer.transpose(1, 2).flatten(2))
        return x + (added if self.axis == -1 else added.transpose(1, 2).reshape(x.shape))
