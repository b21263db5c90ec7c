"""Bits and categories: posteriors that are relaxed while training, and priors."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aebuild.modules.places import from_rows, to_rows
from aebuild.modules.posteriors import Distribution
from aebuild.modules.priors import Prior

SMALLEST_CHANCE = 1e-6        # a chance is no closer than this to 0 or 1


def _chances(drawn: Callable[..., Tensor], shape: tuple[int, ...], like: Tensor) -> Tensor:
    return drawn(torch.rand, shape, like.device, dtype=like.dtype).clamp(SMALLEST_CHANCE, 1 - SMALLEST_CHANCE)


def through(exact: Tensor, relaxed: Tensor, hard: bool) -> Tensor:
    """The exact value with the relaxed one's gradient, or the relaxed value itself."""
    return exact + (relaxed - relaxed.detach()) if hard else relaxed


class RelaxedBernoulli(Distribution):
    """Bits [N, *shape] by their logits: exact draws, or in training binary concrete ones (Maddison et al., 2017)."""

    def __init__(self, logits: Tensor, temperature: float, *, hard: bool) -> None:
        self.logits, self.temperature, self.hard = logits, temperature, hard
        self.mean = (logits > 0).to(logits.dtype)              # the most probable bits
        self._bits: Tensor | None = None

    def noise(self, drawn: Callable[..., Tensor], draws: int) -> Tensor:
        """Chances in (0, 1), [N, draws, *shape]."""
        return _chances(drawn, (len(self.logits), draws, *self.logits.shape[1:]), self.logits)

    def sample(self, noise: Tensor) -> Tensor:
        """One where a logistic number lifts the logit above zero."""
        lifted = (self.logits.unsqueeze(1) + noise.logit()).flatten(0, 1)
        self._bits = (lifted > 0).to(lifted.dtype)
        return through(self._bits, (lifted / self.temperature).sigmoid(), self.hard)

    def log_q(self) -> Tensor:
        """For each bit."""
        assert self._bits is not None, "nothing was drawn"
        logits = self.logits.repeat_interleave(len(self._bits) // len(self.logits), 0)
        return -F.softplus((1 - 2 * self._bits) * logits)

    def kl_to_bernoulli(self, rate: float) -> Tensor:
        """For each bit, in closed form."""
        chance = self.logits.sigmoid()
        own = chance * F.logsigmoid(self.logits) + (1 - chance) * F.logsigmoid(-self.logits)
        return own - chance * math.log(rate) - (1 - chance) * math.log1p(-rate)


class RelaxedCategorical(Distribution):
    """Variables of K categories each, one-hot: exact draws, or in training Gumbel-softmax ones (Jang et al., 2017).

    `logits` are [N, P, variables, K]; the code has variables·K features at each place.
    """

    def __init__(self, logits: Tensor, temperature: float, like: Tensor, axis: int, *, hard: bool) -> None:
        self.logits, self.temperature, self.hard = logits, temperature, hard
        self.like, self.axis = like, axis
        self.mean = self._code(self._one_hot(logits))            # the most probable categories
        self._choices: Tensor | None = None

    def noise(self, drawn: Callable[..., Tensor], draws: int) -> Tensor:
        """Chances in (0, 1), [N, draws, P, variables, K]."""
        return _chances(drawn, (len(self.logits), draws, *self.logits.shape[1:]), self.logits)

    def sample(self, noise: Tensor) -> Tensor:
        """The category that Gumbel noise makes the largest."""
        lifted = (self.logits.unsqueeze(1) - (-noise.log()).log()).flatten(0, 1)
        self._choices = self._one_hot(lifted)
        return self._code(through(self._choices, (lifted / self.temperature).softmax(-1), self.hard))

    def log_q(self) -> Tensor:
        """For each variable, [N·draws, P·variables]."""
        assert self._choices is not None, "nothing was drawn"
        logits = self.logits.log_softmax(-1).repeat_interleave(len(self._choices) // len(self.logits), 0)
        return (logits * self._choices).sum(-1).flatten(1)

    def kl_to_uniform(self) -> Tensor:
        """For each variable, [N, P·variables], in closed form."""
        log_chance = self.logits.log_softmax(-1)
        return (log_chance.exp() * log_chance).sum(-1).flatten(1) + math.log(self.logits.shape[-1])

    def _one_hot(self, scores: Tensor) -> Tensor:
        return F.one_hot(scores.argmax(-1), scores.shape[-1]).to(scores.dtype)

    def _code(self, one_hot: Tensor) -> Tensor:
        return from_rows(one_hot.flatten(2), self.like, self.axis)


class BernoulliPosterior(nn.Module):
    """A logit for each bit. In training draws are relaxed by `temperature`, and with `hard` exact but for their gradient."""

    def __init__(self, temperature: float, *, hard: bool) -> None:
        super().__init__()
        self.temperature, self.hard = temperature, hard

    def forward(self, numbers: Tensor) -> RelaxedBernoulli:
        """The posteriors that the projection's output [N, ...] describes."""
        return RelaxedBernoulli(numbers, self.temperature, hard=self.hard or not self.training)


class CategoricalPosterior(nn.Module):
    """A logit for each category. In training draws are relaxed by `temperature`, and with `hard` exact but for their gradient."""

    def __init__(self, axis: int, classes: int, temperature: float, *, hard: bool) -> None:
        super().__init__()
        self.axis, self.classes = axis, classes
        self.temperature, self.hard = temperature, hard

    def forward(self, numbers: Tensor) -> RelaxedCategorical:
        """The posteriors that the projection's output [N, ...] describes."""
        logits = torch.unflatten(to_rows(numbers, self.axis), -1, (-1, self.classes))
        return RelaxedCategorical(logits, self.temperature, numbers, self.axis, hard=self.hard or not self.training)


class BernoulliPrior(Prior):
    """Bits that are one with probability `rate`, independently."""

    def __init__(self, shape: Sequence[int], rate: float) -> None:
        super().__init__(shape)
        self.rate = rate

    def draw(self, n: int, device: torch.device) -> Tensor:
        """[n, *shape]."""
        chance = self.uniform(n, prod(self.shape), device)
        return (chance < self.rate).to(chance.dtype).view(n, *self.shape)

    def log_prob(self, codes: Tensor) -> Tensor:
        """For each bit."""
        return codes * math.log(self.rate) + (1 - codes) * math.log1p(-self.rate)

    def kl(self, posterior: Distribution) -> Tensor | None:
        """Known for bits."""
        return posterior.kl_to_bernoulli(self.rate)


class UniformCategories(Prior):
    """One-hot variables of `classes` categories, all equally likely, beside each other on the features' `axis`."""

    def __init__(self, shape: Sequence[int], axis: int, classes: int) -> None:
        super().__init__(shape)
        self.axis, self.classes = axis, classes

    def draw(self, n: int, device: torch.device) -> Tensor:
        """[n, *shape]."""
        chosen = self.drawn(partial(torch.randint, self.classes), (n, prod(self.shape) // self.classes), device)
        rows = F.one_hot(chosen, self.classes).to(torch.get_default_dtype())                   # (n, variables, classes)
        last = (*self.shape[:self.axis - 1], *self.shape[self.axis:], self.shape[self.axis - 1])
        return rows.view(n, *last).movedim(-1, self.axis)

    def log_prob(self, codes: Tensor) -> Tensor:
        """For each variable, [N, variables]."""
        return codes.new_full((len(codes), codes[0].numel() // self.classes), -math.log(self.classes))

    def kl(self, posterior: Distribution) -> Tensor | None:
        """Known for categories."""
        return posterior.kl_to_uniform()
