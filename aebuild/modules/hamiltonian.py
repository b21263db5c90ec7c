"""Posteriors whose draws are led uphill by the joint density of data and code."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from aebuild.modules.jacobians import twice_differentiable
from aebuild.modules.posteriors import Diagonal, DiagonalGaussian, Distribution

Density = Callable[[Tensor], Tensor]          # codes [M, *shape] to a log-density of each, [M]


def leapfrog(value: Tensor, momentum: Tensor, slope: Tensor, step: Tensor, slope_at: Callable[[Tensor], Tensor]
             ) -> tuple[Tensor, Tensor, Tensor]:
    """One step of a leapfrog integrator, [M, *shape] each: place, momentum, and the log-density's slope at the new place.

    `slope` is that at the old place. The step keeps volume, and undoes itself from the negative momentum.
    """
    halfway = momentum + 0.5 * step * slope
    value = value + step * halfway
    slope = slope_at(value)
    return value, halfway + 0.5 * step * slope, slope


class Led(Distribution):
    """A diagonal Gaussian whose draws, with a momentum each, take leapfrog steps (Hamiltonian VAE, Caterini et al., 2018).

    `follow` must be told the joint log-density before a draw. `step` spreads over a code, `cooling` are the factors of the momentum behind
    each step, `heat` the deviation of the first momentum.
    """

    def __init__(self, base: DiagonalGaussian, step: Tensor, heat: Tensor, cooling: Tensor) -> None:
        self.base, self.step, self.heat, self.cooling = base, step, heat, cooling
        self.mean = base.mean
        self._density: Density | None = None
        self._log_q: Tensor | None = None

    def follow(self, density: Density) -> None:
        """The log-density of codes [M, *shape] together with their samples, [M], up to a constant."""
        self._density = density

    def noise(self, drawn: Callable[..., Tensor], draws: int) -> Tensor:
        """Of the place and of the momentum, [N, draws, 2, *shape]."""
        like = self.centre
        return drawn(torch.randn, (len(like), draws, 2, *like.shape[1:]), like.device, dtype=like.dtype)

    def sample(self, noise: Tensor) -> Tensor:
        """A draw of the Gaussian, led."""
        with twice_differentiable() as wanted:
            value, first = self.base.sample(noise[:, :, 0]), noise[:, :, 1].flatten(0, 1)
            momentum = self.heat * first
            if len(self.cooling):
                value, momentum = self._led(value, momentum, wanted)
            # the momentum's own density, and the volume that its factors take away, cancel but for this
            gained = 0.5 * (momentum.square() - first.square()).flatten(1).sum(1)
            self._log_q = self.base.log_q().flatten(1).sum(1) + gained
        return value if wanted else value.detach()

    def log_q(self) -> Tensor:
        """Of each code and its last momentum, less the log-density of the momentum under N(0, I): its mean over momenta bounds log q."""
        assert self._log_q is not None, "nothing was drawn"
        return self._log_q

    def stretch(self) -> Tensor:
        """The covariance of the Gaussian, [N, D, D]."""
        return self.base.covariance()

    def _led(self, value: Tensor, momentum: Tensor, wanted: bool) -> tuple[Tensor, Tensor]:
        slope = self._slope(value, wanted)
        for factor in self.cooling:
            value, momentum, slope = leapfrog(value, momentum, slope, self.step, lambda at: self._slope(at, wanted))
            momentum = factor * momentum
        return value, momentum

    def _slope(self, value: Tensor, wanted: bool) -> Tensor:
        assert self._density is not None, "nothing is there to follow"
        at = value if wanted and value.requires_grad else value.detach().requires_grad_()
        found, = torch.autograd.grad(self._density(at).sum(), at, create_graph=wanted)
        return found


class Hamiltonian(nn.Module):
    """Mean and log-variance, one after the other on the features' axis, and what leads the draws.

    Learned: a step size for each of `dim` features, and how hot the momentum is at first. It cools by quadratic tempering: 1/√β falls from
    1/√`temper` to 1 over the steps.
    """

    follows = True
    shardable = False            # slopes are taken inside of a pass

    def __init__(self, axis: int, dim: int, steps: int, step_size: float, temper: float) -> None:
        super().__init__()
        self.base, self.steps = Diagonal(axis), steps
        self.step_size, self.temper = step_size, temper
        self.log_step = nn.Parameter(torch.empty(dim))
        self.temper_logit = nn.Parameter(torch.empty(()))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """As the spec says."""
        self.log_step.fill_(math.log(self.step_size))
        self.temper_logit.fill_(math.log(self.temper / (1 - self.temper)))

    def forward(self, numbers: Tensor) -> Led:
        """The posteriors that the projection's output [N, ...] describes."""
        axis = self.base.axis if self.base.axis >= 0 else self.base.axis + numbers.ndim
        step = self.log_step.exp().view(-1, *(1,) * (numbers.ndim - 1 - axis))
        heats = self.heats()
        return Led(self.base(numbers), step, heats[0], heats[1:] / heats[:-1])

    def heats(self) -> Tensor:
        """1/√β before the first step and behind each, [steps + 1]."""
        if not self.steps:
            return torch.ones_like(self.temper_logit).view(1)
        first = self.temper_logit.sigmoid().rsqrt()
        share = torch.linspace(0, 1, self.steps + 1, dtype=first.dtype, device=first.device).square()
        return (1 - first) * share + first
