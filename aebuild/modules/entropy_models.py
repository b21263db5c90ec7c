"""Learned distributions of codes that are rounded and coded: how many nats each costs, and the tables that a coder takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aebuild.modules.bounds import bounded
from aebuild.modules.priors import Prior

FILTERS = (3, 3, 3)          # hidden numbers of the density's network
INITIAL_SPREAD = 10.0                # about how wide a new density is
LEAST_CHANCE = 1e-9                 # the probability of a code is at least this
NARROWEST = 0.11             # the least deviation of a value, so that its code costs something (Ballé et al., 2018)
STEPS = 60                   # halvings in which a quantile is found
TAIL = 1e-7                  # probability beyond either end of a table
Ends = tuple[Tensor, Tensor]  # the least and the greatest whole number of each table


class Sink(Protocol):
    """An entropy coder that writes."""

    def categorical(self, symbols: Tensor, chances: Tensor) -> None:
        """Whole numbers [n], each below the number of `chances`, which are those of all of them."""

    def gaussian(self, symbols: Tensor, spread: Tensor, low: int, high: int) -> None:
        """Whole numbers [n] from `low` to `high`, rounded from normal ones of mean 0 and these deviations, [n]."""


class Source(Protocol):
    """The same coder as it reads."""

    def categorical(self, count: int, chances: Tensor) -> Any:
        """So many whole numbers, as an array."""
        ...

    def gaussian(self, spread: Tensor, low: int, high: int) -> Any:
        """A whole number for each deviation, as an array."""
        ...


class UnivariateDensity(nn.Module):
    """A distribution function of its own for each of `features`, a small network that can only rise (Ballé et al., 2018, appendix 6.1).

    In layer k, x becomes u + tanh(`factor_k`)·tanh(u) with u = softplus(`matrix_k`)·x + `bias_k`; the last one is a sigmoid's argument.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features
        widths = (1, *FILTERS, 1)
        scale = INITIAL_SPREAD ** (1 / (len(widths) - 1))
        for k, (narrow, wide) in enumerate(pairwise(widths)):
            start = math.log(math.expm1(1 / scale / wide))
            self.register_parameter(f"matrix_{k}", nn.Parameter(torch.full((features, wide, narrow), start)))
            self.register_parameter(f"bias_{k}", nn.Parameter(torch.empty(features, wide, 1).uniform_(-0.5, 0.5)))
            if k < len(FILTERS):
                self.register_parameter(f"factor_{k}", nn.Parameter(torch.zeros(features, wide, 1)))

    def forward(self, x: Tensor) -> Tensor:
        """Logits of the distribution function at x, [features, M]."""
        u = x.unsqueeze(1)                                                                # (C, 1, M)
        for k in range(len(FILTERS) + 1):
            matrix, bias = F.softplus(self.get_parameter(f"matrix_{k}")), self.get_parameter(f"bias_{k}")
            u = (matrix.unsqueeze(3) * u.unsqueeze(1)).sum(2) + bias                      # (C, wide, M)
            if k < len(FILTERS):
                u = u + torch.tanh(self.get_parameter(f"factor_{k}")) * torch.tanh(u)
        return u.squeeze(1)

    def mass(self, x: Tensor) -> Tensor:
        """The probability of the unit interval around x, [features, M]."""
        below, above = self(x - 0.5), self(x + 0.5)
        sign = -torch.sign(below + above).detach()            # on the side where sigmoids are small, their difference is exact
        return (torch.sigmoid(sign * above) - torch.sigmoid(sign * below)).abs()

    @torch.no_grad()
    def quantile(self, chance: Tensor) -> Tensor:
        """Where the distribution function reaches the chances, [features, M]."""
        wanted = torch.logit(chance.to(torch.float64)).to(chance.dtype)
        reach = torch.ones_like(chance)
        for _ in range(40):
            short = (self(reach) < wanted) | (self(-reach) > wanted)
            reach = torch.where(short, reach * 2, reach)
        low, high = -reach, reach
        for _ in range(STEPS):
            middle = (low + high) / 2
            under = self(middle) < wanted
            low, high = torch.where(under, middle, low), torch.where(under, high, middle)
        return (low + high) / 2


class EntropyModel(Prior):
    """A distribution of codes [N, *shape], features on `axis`, that a rounded code is written with."""

    def __init__(self, shape: Sequence[int], axis: int) -> None:
        super().__init__(shape)
        self.axis = axis
        self.features = self.shape[axis if axis < 0 else axis - 1]

    def rate(self, code: Tensor) -> Tensor:
        """Nats that each code costs, [N]: a rounded one in evaluation, one with noise in its place while training."""
        raise TypeError(f"{type(self).__name__} has no rate")

    def reach(self, code: Tensor) -> Ends:
        """Ends of tables in which these rounded codes have room."""
        raise TypeError(f"{type(self).__name__} writes nothing")

    def write(self, code: Tensor, sink: Sink, ends: Ends) -> None:
        """Writes rounded codes whose `reach` lies within the ends."""
        raise TypeError(f"{type(self).__name__} writes nothing")

    def read(self, n: int, source: Source, ends: Ends) -> Tensor:
        """The `n` codes that `write` wrote with these ends."""
        raise TypeError(f"{type(self).__name__} reads nothing")

    def rounded(self, value: Tensor) -> Tensor:
        """With uniform noise of the width of a step while training (Ballé et al., 2017), else rounded."""
        if not self.training:
            return value.round()
        return value + self.drawn(torch.rand, value.shape, value.device, dtype=value.dtype) - 0.5

    def by_feature(self, code: Tensor, axis: int | None = None) -> Tensor:
        """[N, ...] as [features, M]."""
        return code.movedim(self.axis if axis is None else axis, 0).flatten(1)


def nats(chance: Tensor) -> Tensor:
    """What something of these chances costs; what is nearly impossible still has a gradient."""
    return -bounded(chance, LEAST_CHANCE, 1.0).log()


@torch.no_grad()
def ends_of(density: UnivariateDensity, values: Tensor) -> Ends:
    """The least and greatest whole number of each feature's table, int64 [features]: beyond its tails and all values [features, M]."""
    tails = torch.tensor([TAIL, 1 - TAIL], dtype=torch.float64, device=values.device).expand(density.features, 2)
    reach = density.quantile(tails)
    low = torch.minimum(reach[:, 0].floor().long(), values.amin(1).long())
    return low, torch.maximum(low + 1, torch.maximum(reach[:, 1].ceil().long(), values.amax(1).long()))


@torch.no_grad()
def write_features(density: UnivariateDensity, values: Tensor, ends: Ends, sink: Sink) -> None:
    """Whole numbers [features, M], feature by feature."""
    for number, (low, high) in enumerate(zip(*(end.tolist() for end in ends), strict=True)):
        sink.categorical(values[number].long() - low, table(density, number, low, high))


@torch.no_grad()
def read_features(density: UnivariateDensity, count: int, ends: Ends, source: Source) -> Tensor:
    """Whole numbers [features, count] in the density's precision."""
    rows = [torch.as_tensor(source.categorical(count, table(density, number, low, high))) + low
            for number, (low, high) in enumerate(zip(*(end.tolist() for end in ends), strict=True))]
    return torch.stack(rows).to(next(density.parameters()).dtype)


@torch.no_grad()
def table(density: UnivariateDensity, number: int, low: int, high: int) -> Tensor:
    """The chances of a feature's whole numbers from low to high, float64."""
    steps = torch.arange(low, high + 1, dtype=torch.float64)
    return density.mass(steps.expand(density.features, -1))[number]


class Factorised(EntropyModel):
    """Each feature has a distribution of its own, at all places alike (Ballé et al., 2017, 2018)."""

    def __init__(self, shape: Sequence[int], axis: int) -> None:
        super().__init__(shape, axis)
        self.density = UnivariateDensity(self.features)

    def rate(self, code: Tensor) -> Tensor:
        """[N]."""
        each = nats(self.density.mass(self.by_feature(code)))                             # (C, N·P)
        return each.view(self.features, len(code), -1).sum((0, 2))

    def draw(self, n: int, device: torch.device) -> Tensor:
        """Rounded codes."""
        chance = self.uniform(n, math.prod(self.shape), device).view(n, *self.shape).to(next(self.parameters()).dtype)
        drawn = self.density.quantile(self.by_feature(chance.clamp(1e-6, 1 - 1e-6))).round()
        return drawn.view(self.features, n, -1).movedim(0, 2).reshape(self._last(n)).movedim(-1, self.axis)

    def _last(self, n: int) -> tuple[int, ...]:
        """The shape of `n` codes with their features last."""
        places = tuple(size for place, size in enumerate(self.shape) if place != self.axis % (len(self.shape) + 1) - 1)
        return (n, *places, self.features)

    def write(self, code: Tensor, sink: Sink, ends: Ends) -> None:
        """Feature by feature."""
        write_features(self.density, self.by_feature(code), ends, sink)

    def reach(self, code: Tensor) -> Ends:
        """The ends of the tables for these codes."""
        return ends_of(self.density, self.by_feature(code))

    def read(self, n: int, source: Source, ends: Ends) -> Tensor:
        """[n, *shape]."""
        values = read_features(self.density, n * math.prod(self.shape) // self.features, ends, source)
        return values.view(self.features, n, -1).movedim(0, 2).reshape(self._last(n)).movedim(-1, self.axis)


class Hyperprior(EntropyModel):
    """Deviations that are told by a second, smaller code (Ballé et al., 2018).

    `encoder` and `summary` take the size of a code, |y|, to a second code z, which is rounded and has a density of its own; `decoder` and
    `spread` take it to the deviation of each value of y, which is normal around 0. z is enlarged to the places of y first.
    """

    def __init__(self, shape: Sequence[int], axis: int, encoder: nn.Module, summary: nn.Module, decoder: nn.Module, spread: nn.Module,
                 small: Sequence[int], small_axis: int) -> None:
        super().__init__(shape, axis)
        self.encoder, self.summary, self.decoder, self.spread = encoder, summary, decoder, spread
        self.small = Factorised(small, small_axis)

    def rate(self, code: Tensor) -> Tensor:
        """[N]."""
        z = self.small.rounded(self.summary(self.encoder(code.abs())))
        return nats(self._mass(code, self.deviation(z))).flatten(1).sum(1) + self.small.rate(z)

    def deviation(self, z: Tensor) -> Tensor:
        """Of each value of the code, [N, *shape]."""
        places = [size for place, size in enumerate(self.shape) if place != self.axis % (len(self.shape) + 1) - 1]
        if places and list(z.shape[2:] if self.axis == 1 else z.shape[1:-1]) != places:
            wide = z if self.axis == 1 else z.movedim(-1, 1)
            wide = F.interpolate(wide, size=places, mode="nearest")
            z = wide if self.axis == 1 else wide.movedim(1, -1)
        return bounded(F.softplus(self.spread(self.decoder(z))), NARROWEST, math.inf)

    @staticmethod
    def _mass(code: Tensor, deviation: Tensor) -> Tensor:
        """The chance of the unit interval around each value, on the side of the tail."""
        size, narrow = code.abs(), 1 / (deviation * math.sqrt(2))
        return 0.5 * (torch.erfc((size - 0.5) * narrow) - torch.erfc((size + 0.5) * narrow))

    def draw(self, n: int, device: torch.device) -> Tensor:
        """Rounded codes."""
        deviation = self.deviation(self.small.draw(n, device))
        return (self.normal(n, *self.shape, device=device).to(deviation.dtype) * deviation).round()

    @torch.no_grad()
    def reach(self, code: Tensor) -> Ends:
        """The ends of the second code's tables, and in front of them those of the code itself."""
        low, high = self.small.reach(self._second(code))
        return torch.cat([code.min().long().view(1), low]), torch.cat([code.max().long().view(1), high])

    def _second(self, code: Tensor) -> Tensor:
        z: Tensor = self.summary(self.encoder(code.abs())).round()
        return z

    @torch.no_grad()
    def write(self, code: Tensor, sink: Sink, ends: Ends) -> None:
        """The second code, then each value with its deviation."""
        z, (low, high) = self._second(code), ends
        write_features(self.small.density, self.small.by_feature(z), (low[1:], high[1:]), sink)
        sink.gaussian(code.flatten().long(), self.deviation(z).flatten(), int(low[0]), int(high[0]))

    @torch.no_grad()
    def read(self, n: int, source: Source, ends: Ends) -> Tensor:
        """[n, *shape]."""
        low, high = ends
        deviation = self.deviation(self.small.read(n, source, (low[1:], high[1:])))
        values = torch.as_tensor(source.gaussian(deviation.flatten(), int(low[0]), int(high[0])))
        return values.to(deviation.dtype).view(n, *self.shape)


def settled(model: Any) -> Any:
    """A copy on the CPU in double precision, with which codes are written and read."""
    import copy

    return copy.deepcopy(model).cpu().double().eval()
