"""Posteriors whose draws are led uphill in a learned metric of the code."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from aebuild.modules.hamiltonian import Hamiltonian, Led
from aebuild.modules.jacobians import twice_differentiable
from aebuild.modules.metric import Metric, Place
from aebuild.modules.posteriors import DiagonalGaussian


def curved_leapfrog(value: Tensor, momentum: Tensor, slope: Tensor, here: Place, step: Tensor, slope_at: Callable[[Tensor], Tensor],
                    rounds: int) -> tuple[Tensor, Tensor, Tensor, Place]:
    """One step of the generalised leapfrog integrator (Girolami and Calderhead, 2011): place, momentum, slope and metric at the new place.

    `value` and `momentum` are [M, D], `slope` is the log-density's at the old place and `here` the metric there. Two of its three equations
    are implicit, and solved by so many `rounds` of a fixed point. Solved, they keep volume, and undo themselves from the negative momentum.
    """
    halfway = momentum
    for _ in range(rounds):
        halfway = momentum + 0.5 * step * (slope - here.force(halfway))
    velocity, start = here.velocity(halfway), value
    for _ in range(rounds):
        value = start + 0.5 * step * (velocity + here.metric.at(value).velocity(halfway))
    slope, there = slope_at(value), here.metric.at(value)
    return value, halfway + 0.5 * step * (slope - there.force(halfway)), slope, there


class Curved(Led):
    """A diagonal Gaussian whose draws take leapfrog steps in a metric (Riemannian Hamiltonian VAE, Chadebec et al., 2020).

    `triangle` [N, D, D] are lower triangular matrices L, of which a metric around these posteriors is made. `bend` must be told
    what gives the metric before a draw, as `follow` the density.
    """

    def __init__(self, base: DiagonalGaussian, step: Tensor, heat: Tensor, cooling: Tensor, triangle: Tensor, rounds: int) -> None:
        super().__init__(base, step, heat, cooling)
        self.triangle, self.rounds = triangle, rounds
        self._metric: Callable[[], Metric] | None = None

    def bend(self, metric: Callable[[], Metric]) -> None:
        """What gives the metric of the codes, which is asked for once a draw, and not where there are no steps."""
        self._metric = metric

    def stretch(self) -> Tensor:
        """L·Lᵀ, [N, D, D]."""
        return self.triangle @ self.triangle.mT

    def sample(self, noise: Tensor) -> Tensor:
        """A draw of the Gaussian, led; its momentum is from N(0, G) at first, heated."""
        if not len(self.cooling):
            return super().sample(noise)                     # in any metric the Gaussian itself
        assert self._metric is not None, "there is no metric to move in"
        with twice_differentiable() as wanted:
            value, first = self.base.sample(noise[:, :, 0]), noise[:, :, 1].flatten(0, 1)
            here = self._metric().at(value)
            momentum, begun = self.heat * here.heated(first), here.log_root()
            value, momentum, here = self._moved(value, momentum, here, wanted)
            # the volume that the cooling takes away cancels with the heat of the first momentum's density
            gained = here.energy(momentum) + begun - 0.5 * first.square().sum(1)
            self._log_q = self.base.log_q().sum(1) + gained
        return value if wanted else value.detach()

    def _moved(self, value: Tensor, momentum: Tensor, here: Place, wanted: bool) -> tuple[Tensor, Tensor, Place]:
        slope = self._slope(value, wanted)
        for factor in self.cooling:
            value, momentum, slope, here = curved_leapfrog(value, momentum, slope, here, self.step, lambda at: self._slope(at, wanted),
                                                           self.rounds)
            momentum = factor * momentum
        return value, momentum, here


class Riemannian(Hamiltonian):
    """Mean, log-variance and a triangular matrix, one after the other among the projection's numbers, and what leads the draws.

    The matrix has its lower triangle row by row; its diagonal is the exponential of what stands there. In training the metric is of
    `subset` exemplars.
    """

    curved = True

    def __init__(self, dim: int, steps: int, step_size: float, temper: float, rounds: int, subset: int) -> None:
        super().__init__(1, dim, steps, step_size, temper)
        self.dim, self.rounds, self.subset = dim, rounds, subset

    def forward(self, numbers: Tensor) -> Curved:
        """The posteriors that the projection's output [N, D·(D + 5) / 2] describes."""
        gaussian, below = numbers[:, :2 * self.dim], numbers[:, 2 * self.dim:]
        rows, columns = torch.tril_indices(self.dim, self.dim, device=numbers.device).unbind()
        count = self.dim * (self.dim + 1) // 2
        taken = torch.full((self.dim, self.dim), count, device=numbers.device)                  # above the diagonal a column of zeros
        taken[rows, columns] = torch.arange(count, device=numbers.device)
        lower = F.pad(below, (0, 1))[:, taken]
        triangle = lower.tril(-1) + lower.diagonal(dim1=1, dim2=2).exp().diag_embed()
        heats = self.heats()
        return Curved(self.base(gaussian), self.log_step.exp(), heats[0], heats[1:] / heats[:-1], triangle, self.rounds)
