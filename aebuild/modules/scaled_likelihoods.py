"""Likelihoods of a location and a scale that is given, learned or predicted: Laplace, Student-t, discretised logistic."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aebuild.modules.bounds import bounded
from aebuild.modules.categorical_likelihood import quantile
from aebuild.modules.likelihoods import Likelihood, apart, per_sample, second

LOG_SCALE = (-10.0, 10.0)
Scale = float | Sequence[int] | None


class Positive(nn.Module):
    """The logarithm of a positive number for each element: of one that is given, of learned ones, or of one that is predicted.

    `size` is the number, the shape of the learned ones (() for one for all), or None where the decoder predicts it, behind all its
    other parameters. It is held between `low` and `high`; learned ones begin at 1.
    """

    def __init__(self, size: Scale, bounds: Sequence[float] = LOG_SCALE) -> None:
        super().__init__()
        self.bounds = bounds[0], bounds[1]
        self.given = math.log(size) if isinstance(size, int | float) else None
        self.log = nn.Parameter(torch.zeros(tuple(size))) if isinstance(size, Sequence) else None

    def reset_parameters(self) -> None:
        """One."""
        if self.log is not None:
            nn.init.zeros_(self.log)

    @property
    def predicted(self) -> bool:
        """True if it is among the decoder's parameters."""
        return self.given is None and self.log is None

    def of(self, parts: Sequence[Tensor]) -> Tensor:
        """Of the decoder's parameters, each like the target: the last of them if it is predicted; else something that spreads over them."""
        if self.given is not None:
            return parts[0].new_tensor(self.given)
        return bounded(parts[-1] if self.log is None else self.log, *self.bounds)


class Located(Likelihood):
    """A likelihood of a location, which is the reconstruction, and a scale; `scale` as Positive takes it."""

    def __init__(self, scale: Scale, axis: int) -> None:
        super().__init__()
        self.axis = axis
        self.scale = Positive(scale)

    def forward(self, params: Tensor, target: Tensor) -> Tensor:
        """[N]."""
        return per_sample(self.each(params, target))

    def each(self, params: Tensor, target: Tensor) -> Tensor:
        """Like the target."""
        parts = self.parts(params)
        return self.surprise(target - parts[0], self.scale.of(parts))

    def surprise(self, distance: Tensor, log_scale: Tensor) -> Tensor:
        """Nats at so far from the location, [N, ...]."""
        raise TypeError(f"{type(self).__name__} has no surprise")

    def parts(self, params: Tensor) -> tuple[Tensor, ...]:
        """The location, and the log-scale where it is predicted, each like the target."""
        return apart(params, 2, self.axis).unbind(second(self.axis)) if self.scale.predicted else (params,)

    def mean(self, params: Tensor) -> Tensor:
        """The location."""
        return self.parts(params)[0]

    def params_of(self, mean: Tensor) -> Tensor | None:
        """The location; None where a scale is predicted too."""
        return None if self.scale.predicted else mean


class Laplace(Located):
    """Negative log-density in nats of Laplace(location, scale): |x − location| / scale + ln 2·scale."""

    def surprise(self, distance: Tensor, log_scale: Tensor) -> Tensor:
        """[N, ...]."""
        return distance.abs() * (-log_scale).exp() + log_scale + math.log(2)

    def draw(self, params: Tensor, chance: Tensor) -> Tensor:
        """Like the target."""
        parts, apart_of_half = self.parts(params), chance.clamp(2.0 ** -24) - 0.5
        return parts[0] - self.scale.of(parts).exp() * apart_of_half.sign() * torch.log1p(-2 * apart_of_half.abs())

    def distribution(self, params: Tensor) -> dict[str, Tensor]:
        """Location and scale."""
        parts = self.parts(params)
        return {"location": parts[0], "scale": self.scale.of(parts).exp().expand_as(parts[0])}


class StudentT(Located):
    """Negative log-density in nats of Student's t around a location, with `df` degrees of freedom."""

    def __init__(self, df: float, scale: Scale, axis: int) -> None:
        super().__init__(scale, axis)
        self.df = df
        self.constant = math.lgamma(df / 2) - math.lgamma((df + 1) / 2) + 0.5 * math.log(df * math.pi)

    def surprise(self, distance: Tensor, log_scale: Tensor) -> Tensor:
        """[N, ...]."""
        scaled = distance * (-log_scale).exp()
        return (self.df + 1) / 2 * (scaled.square() / self.df).log1p() + log_scale + self.constant


class DiscretizedLogistic(Located):
    """Nats of the level that a value is, of `levels` from `low` to `high`, under a logistic distribution that is cut into levels.

    The lowest and the highest level have the tails (Salimans et al., 2017). Location and scale are in units of half the range, the
    location 0 in its middle.
    """

    def __init__(self, levels: int, low: float, high: float, scale: Scale, axis: int) -> None:
        super().__init__(scale, axis)
        self.levels, self.middle, self.extent = levels, (low + high) / 2, (high - low) / 2

    def each(self, params: Tensor, target: Tensor) -> Tensor:
        """Like the target."""
        parts = self.parts(params)
        return -log_mass((target - self.middle) / self.extent, parts[0], self.scale.of(parts), self.levels)

    def mean(self, params: Tensor) -> Tensor:
        """The location, held in the range."""
        return bounded(self.parts(params)[0], -1.0, 1.0) * self.extent + self.middle

    def params_of(self, mean: Tensor) -> Tensor | None:
        """The location; None where a scale is predicted too."""
        return None if self.scale.predicted else (mean - self.middle) / self.extent

    def draw(self, params: Tensor, chance: Tensor) -> Tensor:
        """Levels, like the target."""
        parts = self.parts(params)
        return nearest_level(logistic(parts[0], self.scale.of(parts), chance), self.levels) * self.extent + self.middle

    def distribution(self, params: Tensor) -> dict[str, Tensor]:
        """Of each level."""
        parts, x = self.parts(params), levels_of(self.levels, params.device)
        log_scale = self.scale.of(parts).expand_as(parts[0])
        return {"log_probabilities": log_mass(x, parts[0].unsqueeze(-1), log_scale.unsqueeze(-1), self.levels)}

    def support(self) -> Tensor:
        """The levels."""
        return levels_of(self.levels) * self.extent + self.middle


class DiscretizedLogisticMixture(Likelihood):
    """Nats of a level under a mixture of discretised logistic distributions, each element its own (Salimans et al., 2017).

    The parameters of an element are a logit, a location and a log-scale for each of the `components`, one sort after the other.
    """

    def __init__(self, components: int, levels: int, low: float, high: float, axis: int) -> None:
        super().__init__()
        self.components, self.axis = components, axis
        self.levels, self.middle, self.extent = levels, (low + high) / 2, (high - low) / 2

    def forward(self, params: Tensor, target: Tensor) -> Tensor:
        """[N]."""
        return per_sample(self.each(params, target))

    def each(self, params: Tensor, target: Tensor) -> Tensor:
        """Like the target."""
        logits, location, log_scale = self._parts(params)
        level = ((target - self.middle) / self.extent).unsqueeze(-1)
        return -(logits.log_softmax(-1) + log_mass(level, location, bounded(log_scale, *LOG_SCALE), self.levels)).logsumexp(-1)

    def mean(self, params: Tensor) -> Tensor:
        """The mean of the locations, each held in the range."""
        logits, location, _ = self._parts(params)
        return (logits.softmax(-1) * bounded(location, -1.0, 1.0)).sum(-1) * self.extent + self.middle

    def draw(self, params: Tensor, chance: Tensor) -> Tensor:
        """Levels, like the target: what of the chance is left within the component that it falls to places the level."""
        logits, location, log_scale = self._parts(params)
        share = logits.softmax(-1)
        chosen = quantile(share, chance).unsqueeze(-1)
        own, before = share.gather(-1, chosen), (share.cumsum(-1) - share).gather(-1, chosen)
        left = ((chance.unsqueeze(-1) - before) / own).clamp(0, 1)
        drawn = logistic(location.gather(-1, chosen), bounded(log_scale.gather(-1, chosen), *LOG_SCALE), left)
        return nearest_level(drawn.squeeze(-1), self.levels) * self.extent + self.middle

    def distribution(self, params: Tensor) -> dict[str, Tensor]:
        """Of each level."""
        logits, location, log_scale = (part.unsqueeze(-2) for part in self._parts(params))
        x = levels_of(self.levels, params.device).unsqueeze(-1)                                           # (K, 1)
        each = logits.log_softmax(-1) + log_mass(x, location, bounded(log_scale, *LOG_SCALE), self.levels)
        return {"log_probabilities": each.logsumexp(-1)}

    def support(self) -> Tensor:
        """The levels."""
        return levels_of(self.levels) * self.extent + self.middle

    def _parts(self, params: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Each [N, ..., components], the axes before the last those of the target."""
        every = apart(params, 3 * self.components, self.axis).movedim(second(self.axis), -1)
        logits, location, log_scale = torch.split(every, self.components, -1)
        return logits, location, log_scale


def logistic(location: Tensor, log_scale: Tensor, chance: Tensor) -> Tensor:
    """The quantile of a logistic distribution at numbers in [0, 1), which are held 2⁻²⁴ from 0."""
    return location + log_scale.exp() * chance.clamp(2.0 ** -24, 1 - 2.0 ** -24).logit()


def nearest_level(x: Tensor, levels: int) -> Tensor:
    """The nearest of so many levels from -1 to 1."""
    return ((x.clamp(-1, 1) + 1) * ((levels - 1) / 2)).round() * (2 / (levels - 1)) - 1


def levels_of(levels: int, device: torch.device | None = None) -> Tensor:
    """So many levels from -1 to 1, [levels]."""
    return torch.linspace(-1, 1, levels, device=device)


def log_mass(x: Tensor, location: Tensor, log_scale: Tensor, levels: int) -> Tensor:
    """The logarithm of the probability that a logistic distribution has around a level x in [-1, 1], without cancellation.

    σ(a) − σ(b) = σ(a)·σ(−b)·(1 − e^(b−a)), where a and b are the level's upper and lower edge in units of the scale.
    """
    half, inverse = 1 / (levels - 1), (-log_scale).exp()
    above, below = (x - location + half) * inverse, (x - location - half) * inverse
    between = F.logsigmoid(above) + F.logsigmoid(-below) + (-torch.expm1(-2 * half * inverse)).log()
    return torch.where(x < -1 + half, F.logsigmoid(above), torch.where(x > 1 - half, F.logsigmoid(-below), between))
