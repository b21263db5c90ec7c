"""What is known of each sample, told to a network on its way."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aebuild.modules.stage import Contextual

PLACE = 0.02       # deviation of the embeddings of places, as those of Dosovitskiy et al. (2021) begin


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


def brought_to(image: Tensor, places: Sequence[int]) -> Tensor:
    """An image [N, C, *S] on a grid of these places: means where it is larger, repeated where it is smaller.

    Along each axis the one size is a multiple of the other.
    """
    for axis, (held, wanted) in enumerate(zip(image.shape[2:], places, strict=True), start=2):
        if held > wanted:
            image = image.reshape(*image.shape[:axis], wanted, held // wanted, *image.shape[axis + 1:]).mean(axis + 1)
        elif held < wanted:
            repeated = image.unsqueeze(axis + 1).expand(*image.shape[:axis + 1], wanted // held, *image.shape[axis + 1:])
            image = repeated.flatten(axis, axis + 1)
    return image


class Conditioned(Contextual):
    """A step that reads the features `first` to `last` of what stands under `key` in the context, [N, F].

    `axis` is that of the features of what it gets, 1 of vectors and grids, -1 of sequences. With a `shape`, [F, *S], they are an image that
    a grid is told place by place.
    """

    def __init__(self, key: str, first: int, last: int, axis: int, shape: Sequence[int] = ()) -> None:
        super().__init__()
        self.key, self.first, self.last, self.axis, self.shape = key, first, last, axis, tuple(shape)

    def told(self, x: Tensor, context: dict[str, Any]) -> Tensor:
        """Its features of each sample, [N, last − first], or at each place of x, [N, F, *S]."""
        features = told(context, self.key, x.shape[0])[:, self.first:self.last]
        return brought_to(features.reshape(-1, *self.shape), x.shape[2:]) if self.shape else features

    def beside(self, features: Tensor, x: Tensor) -> Tensor:
        """[N, C] with axes of one, so that it meets every place of x; an image as it is."""
        if self.shape:
            return features
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


class ConditionEncoder(Contextual):
    """Puts what its network makes of a condition into the context, flat under `written`, and gives its input back.

    The condition are the features `first` to `last` of what stands under `key`, of this `shape`.
    """

    def __init__(self, network: nn.Module, key: str, first: int, last: int, shape: Sequence[int], written: str) -> None:
        super().__init__()
        self.network = network
        self.key, self.first, self.last, self.shape, self.written = key, first, last, tuple(shape), written

    def forward(self, x: Tensor, context: dict[str, Any]) -> Tensor:
        """The input."""
        features = told(context, self.key, x.shape[0])[:, self.first:self.last]
        context[self.written] = self.network(features.reshape(-1, *self.shape)).flatten(1)
        return x


class EncodedParts(nn.Module):
    """Stretches of a vector, [N, F], side by side, some as what a network of theirs makes of them: `parts` has shapes by name, in order."""

    def __init__(self, networks: Mapping[str, nn.Module], parts: Sequence[tuple[str, Sequence[int]]]) -> None:
        super().__init__()
        self.networks = nn.ModuleDict(networks)
        self.parts = [(name, tuple(shape)) for name, shape in parts]

    def forward(self, x: Tensor) -> Tensor:
        """[N, F] to [N, F']."""
        made, first = [], 0
        for name, shape in self.parts:
            part = x[:, first:first + math.prod(shape)]
            made.append(self.networks[name](part.reshape(-1, *shape)).flatten(1) if name in self.networks else part)
            first += math.prod(shape)
        return torch.cat(made, 1)


class Film(Conditioned):
    """Scales and shifts each feature: x·(1 + γ) + β, both linear in the condition (Perez et al., 2018).

    γ and β begin at zero, so that the network begins as the one that is told nothing.
    """

    def __init__(self, key: str, first: int, last: int, axis: int, channels: int, shape: Sequence[int] = ()) -> None:
        super().__init__(key, first, last, axis, shape)
        self.map = nn.Linear(self.shape[0] if self.shape else last - first, 2 * channels)
        nn.init.zeros_(self.map.weight)
        nn.init.zeros_(self.map.bias)

    def forward(self, x: Tensor, context: dict[str, Any]) -> Tensor:
        """The same shape."""
        scale, shift = self.map(self.told(x, context).movedim(1, -1)).movedim(-1, 1).chunk(2, 1)
        return self.normal(x) * (1 + self.beside(scale, x)) + self.beside(shift, x)

    def normal(self, x: Tensor) -> Tensor:
        """What is scaled and shifted."""
        return x


class AdaptiveNorm(Film):
    """Normalises each sample, then scales and shifts by the condition: a grid's channels in groups (Dhariwal and Nichol, 2021)."""

    def __init__(self, key: str, first: int, last: int, axis: int, channels: int, groups: int = 1, shape: Sequence[int] = ()) -> None:
        super().__init__(key, first, last, axis, channels, shape)
        self.groups = groups

    def normal(self, x: Tensor) -> Tensor:
        """Mean 0 and variance 1: of the features at each place of a sequence and of a vector, of each group of a grid."""
        return F.group_norm(x, self.groups) if self.axis == 1 and x.ndim > 2 else F.layer_norm(x, x.shape[-1:])


class CrossAttention(Conditioned):
    """Each place asks a few tokens that the condition is turned to, and adds what it is answered (Rombach et al., 2022).

    What is added begins at zero: the last map does. With a `shape`, [F, *S], the places of the condition are the tokens, each told apart
    by a learned embedding of its place.
    """

    def __init__(self, key: str, first: int, last: int, axis: int, channels: int, tokens: int, heads: int,
                 shape: Sequence[int] = ()) -> None:
        super().__init__(key, first, last, axis)
        self.tokens, self.heads, self.grid = tokens, heads, tuple(shape)
        self.query = nn.Linear(channels, channels)
        self.tell = nn.Linear(self.grid[0], 2 * channels) if self.grid else nn.Linear(last - first, tokens * 2 * channels)
        self.place = nn.Parameter(torch.randn(tokens, 2 * channels) * PLACE) if self.grid else None
        self.out = nn.Linear(channels, channels)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, context: dict[str, Any]) -> Tensor:
        """The same shape."""
        places = x if self.axis == -1 else x.flatten(2).transpose(1, 2).contiguous()                   # (N, T, C)
        q = self.query(places).unflatten(2, (self.heads, -1)).transpose(1, 2)                          # (N, heads, T, d)
        known = self.told(x, context)
        if self.place is not None:
            known = self.tell(known.reshape(-1, self.grid[0], self.tokens).transpose(1, 2)) + self.place             # (N, tokens, 2·C)
        asked = (self.tell(known) if self.place is None else known.flatten(1)).unflatten(1, (self.tokens, 2, self.heads, -1))
        k, v = asked.permute(2, 0, 3, 1, 4).unbind()                                                   # (N, heads, tokens, d) each
        answer = ((q @ k.transpose(2, 3)) / math.sqrt(q.shape[3])).softmax(3) @ v
        added: Tensor = self.out(answer.transpose(1, 2).flatten(2))
        return x + (added if self.axis == -1 else added.transpose(1, 2).reshape(x.shape))
