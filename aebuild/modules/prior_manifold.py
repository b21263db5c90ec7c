"""Draws of codes by the volume of a Riemannian metric around the codes of training samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import prod

import torch
from torch import Tensor

from aebuild.modules.hamiltonian import leapfrog
from aebuild.modules.metric import Metric
from aebuild.modules.posteriors import Distribution
from aebuild.modules.priors import Prior


class ManifoldPrior(Prior):
    """Codes with density ∝ √det G⁻¹(z), by Hamiltonian Monte Carlo from the centroids (Chadebec et al., 2020).

    `exemplars`, [K, *the encoder's input], are samples of the training data. The metric's centroids are the means of their posteriors, its
    matrices what these `stretch` it by; `fit` keeps those of the trained encoder for draws, `centroids` [K, D] and `matrices` [K, D, D].
    A draw is a chain of `moves` Metropolis steps, each of `leaps` leapfrog steps of size `stride`.
    """

    exemplars: Tensor
    centroids: Tensor
    matrices: Tensor

    def __init__(self, shape: Sequence[int], taken: Sequence[int], exemplars: int, reach: float, floor: float, moves: int, leaps: int,
                 stride: float) -> None:
        super().__init__(shape)
        self.held, self.reach, self.floor = exemplars, reach, floor
        self.moves, self.leaps, self.stride = moves, leaps, stride
        size = prod(self.shape)
        self.register_buffer("exemplars", torch.zeros(exemplars, *taken))
        self.register_buffer("centroids", torch.zeros(exemplars, size))
        self.register_buffer("matrices", torch.eye(size).repeat(exemplars, 1, 1))
        self._posterior_of: Callable[[Tensor], Distribution] | None = None

    def meet(self, posterior_of: Callable[[Tensor], Distribution]) -> None:
        """The encoder, of which the metric is made."""
        self._posterior_of = posterior_of

    def begin(self, samples: Tensor) -> None:
        """Where there are fewer samples than exemplars they are repeated."""
        self.exemplars.copy_(samples[torch.arange(self.held, device=samples.device) % len(samples)])

    def metric(self, subset: int) -> Metric:
        """As the encoder is now, with its gradient; in training of so many exemplars, drawn anew, in evaluation of all."""
        held = self.exemplars
        if self.training and subset < self.held:
            held = held[torch.randperm(self.held, generator=self.rng(held.device), device=held.device)[:subset]]
        return self._metric_of(*self._around(held))

    @torch.no_grad()
    def fit(self, codes: Iterable[Tensor]) -> None:
        """Keeps the centroids and matrices of the exemplars; other codes say nothing of the metric."""
        centroids, matrices = self._around(self.exemplars)
        self.centroids.copy_(centroids)
        self.matrices.copy_(matrices)

    def draw(self, n: int, device: torch.device) -> Tensor:
        """[n, *shape], the ends of `n` chains from centroids drawn evenly."""
        metric = self._metric_of(self.centroids, self.matrices)
        value = self.centroids[self.choice(n, self.held, device)]
        for _ in range(self.moves):
            value = self._moved(metric, value)
        return value.view(n, *self.shape)

    def _moved(self, metric: Metric, start: Tensor) -> Tensor:
        """Codes [n, D] after a Metropolis step."""
        first = self.normal(*start.shape, device=start.device)
        chance = self.uniform(len(start), 1, start.device).squeeze(1).log()
        place, value, momentum = metric.at(start), start, first
        before, slope = place.log_root(), -place.force()
        stride = torch.full((), self.stride, dtype=start.dtype, device=start.device)
        for _ in range(self.leaps):
            value, momentum, slope = leapfrog(value, momentum, slope, stride, lambda at: -metric.at(at).force())
        gain = metric.at(value).log_root() - before - 0.5 * (momentum.square() - first.square()).sum(1)
        return torch.where((chance < gain).unsqueeze(1), value, start)

    def _around(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        assert self._posterior_of is not None, "it stands in a model"
        posterior = self._posterior_of(samples)
        return posterior.mean.flatten(1), posterior.stretch()

    def _metric_of(self, centroids: Tensor, matrices: Tensor) -> Metric:
        return Metric(centroids, matrices, self.reach, self.floor)
