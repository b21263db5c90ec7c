"""Priors that tell a code place by place, each from those before it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aebuild.modules.above import CodeAbove, told_of, with_told
from aebuild.modules.bounds import bounded_log_variance
from aebuild.modules.causal import CausalGru, CausalTransformer
from aebuild.modules.prior_mixture import chosen_of
from aebuild.modules.priors import Prior

BEGINNING = 0.02     # standard deviation of what stands in front of the first place


def picked(logits: Tensor, chance: Tensor, temperature: float, top_k: int | None) -> Tensor:
    """One of K for each row of logits [n, K], by numbers in [0, 1), [n, 1]; of the `top_k` most probable only."""
    logits = logits / temperature
    if top_k is not None and top_k < logits.shape[1]:
        least = logits.topk(top_k, 1).values[:, -1:]
        logits = logits.masked_fill(logits < least, -math.inf)
    return chosen_of(logits.softmax(1), chance)


class AutoregressiveTokens(Prior):
    """Indices below K, [n, L], each from those before it (van den Oord et al., 2017)."""

    def __init__(self, length: int, classes: int, width: int, network: CausalTransformer | CausalGru, *, temperature: float = 1.0,
                 top_k: int | None = None, above: CodeAbove | None = None) -> None:
        super().__init__((length,))
        self.above = above
        self.embed = nn.Embedding(classes, width)
        self.start = nn.Parameter(BEGINNING * torch.randn(width))
        self.network = network
        self.output = nn.Linear(width, classes)
        self.temperature, self.top_k = temperature, top_k
        for weight in (self.embed.weight, self.output.weight):
            nn.init.normal_(weight, 0, BEGINNING)
        nn.init.zeros_(self.output.bias)

    def given(self, context: dict[str, Any]) -> Prior:
        """The prior of samples whose code above is known."""
        return told_of(self, self.above, context)

    def logits(self, codes: Tensor, told: Tensor | None = None) -> Tensor:
        """[N, L, K], at each place of what the places before it, and the code above, leave open."""
        start = self.start.expand(len(codes), 1, -1)
        x = with_told(torch.cat([start, self.embed(codes[:, :-1])], 1), told, self.above)
        found: Tensor = self.output(self.network(x))
        return found

    def log_prob(self, codes: Tensor, told: Tensor | None = None) -> Tensor:
        """[N]."""
        return -F.cross_entropy(self.logits(codes, told).transpose(1, 2), codes, reduction="none").sum(1)

    def draw(self, n: int, device: torch.device, told: Tensor | None = None) -> Tensor:
        """[n, L], each place once, with what the network remembers of those before it."""
        x, state, found = self.start.expand(n, -1), None, []
        for place, chance in enumerate(self.uniform(n, self.shape[0], device).unbind(1)):
            out, state = self.network.step(with_told(x, told, self.above, place), place, state)
            index = picked(self.output(out), chance.unsqueeze(1), self.temperature, self.top_k)
            found.append(index)
            x = self.embed(index)
        return torch.stack(found, 1)


class AutoregressiveCodes(Prior):
    """Real vectors at places, each from a Gaussian that those before it tell (as in Chung et al., 2015).

    Codes are [n, *shape] with their D features on `axis`; places are gone through in raster order.
    """

    def __init__(self, shape: Sequence[int], axis: int, width: int, network: CausalTransformer | CausalGru, *,
                 temperature: float = 1.0, above: CodeAbove | None = None) -> None:
        super().__init__(shape)
        self.above = above
        self.axis = axis
        self.features = self.shape[axis - 1 if axis > 0 else axis]
        self.length = prod(self.shape) // self.features
        self.start = nn.Parameter(BEGINNING * torch.randn(width))
        self.embed = nn.Linear(self.features, width)
        self.network = network
        self.output = nn.Linear(width, 2 * self.features)
        self.temperature = temperature
        with torch.no_grad():
            self.output.weight.mul_(BEGINNING)
            self.output.bias.zero_()

    def given(self, context: dict[str, Any]) -> Prior:
        """The prior of samples whose code above is known."""
        return told_of(self, self.above, context)

    def log_prob(self, codes: Tensor, told: Tensor | None = None) -> Tensor:
        """[N]."""
        z = codes.movedim(self.axis, -1).flatten(1, -2)                                  # (N, L, D)
        x = with_told(torch.cat([self.start.expand(len(z), 1, -1), self.embed(z[:, :-1])], 1), told, self.above)
        mean, log_variance = self._gaussian(self.network(x))
        apart = (z - mean).square() * (-log_variance).exp()
        found: Tensor = -0.5 * (apart + log_variance + math.log(2 * math.pi)).flatten(1).sum(1)
        return found

    def _gaussian(self, out: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.output(out).chunk(2, -1)
        return mean, bounded_log_variance(log_variance)

    def draw(self, n: int, device: torch.device, told: Tensor | None = None) -> Tensor:
        """[n, *shape], one place after the other; deviations times the temperature."""
        x, state, found = self.start.expand(n, -1), None, []
        for place, noise in enumerate(self.normal(n, self.length, self.features, device=device).unbind(1)):
            out, state = self.network.step(with_told(x, told, self.above, place), place, state)
            mean, log_variance = self._gaussian(out)
            z = mean + self.temperature * (0.5 * log_variance).exp() * noise
            found.append(z)
            x = self.embed(z)
        rest = [extent for number, extent in enumerate(self.shape) if number != (self.axis - 1) % len(self.shape)] \
            if self.axis > 0 else list(self.shape[:-1])
        return torch.stack(found, 1).view(n, *rest, self.features).movedim(-1, self.axis)
