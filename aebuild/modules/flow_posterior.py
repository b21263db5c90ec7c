"""Posteriors that flows bend."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from aebuild.modules.bounds import bounded_log_variance
from aebuild.modules.places import from_rows, to_rows
from aebuild.modules.posteriors import DiagonalGaussian, Distribution


class Flowed(Distribution):
    """A diagonal Gaussian through flows at each place (Rezende and Mohamed, 2015).

    Each flow takes rows [M, D] and what it is told of their samples, [M, C], to (rows, log|det J| [M]). `told` is [N, P, C] for each
    flow.
    """

    def __init__(self, base: DiagonalGaussian, flows: nn.ModuleList, told: Sequence[Tensor], axis: int) -> None:
        self.base, self.flows, self.told, self.axis = base, flows, told, axis
        self._log_q: Tensor | None = None

    @property
    def mean(self) -> Tensor:  # type: ignore[override]
        """Where the flows take the Gaussian's mean."""
        return self._through(self.base.mean, 1)[0]

    @property
    def centre(self) -> Tensor:
        """The Gaussian's mean itself."""
        return self.base.mean

    def sample(self, noise: Tensor) -> Tensor:
        """A draw of the Gaussian, through the flows."""
        value, volume = self._through(self.base.sample(noise), noise.shape[1])
        self._log_q = self.base.log_q().flatten(1).sum(1) - volume
        return value

    def log_q(self) -> Tensor:
        """Of each code as a whole."""
        assert self._log_q is not None, "nothing was drawn"
        return self._log_q

    def _through(self, value: Tensor, draws: int) -> tuple[Tensor, Tensor]:
        """Codes [M, *shape] and the logarithm of how much volume grows there, [M]."""
        rows = to_rows(value, self.axis)
        count, places, features = rows.shape
        rows, volume = rows.reshape(-1, features), value.new_zeros(count * places)
        for flow, told in zip(self.flows, self.told, strict=True):
            rows, change = flow(rows, told.repeat_interleave(draws, 0).flatten(0, 1))
            volume = volume + change
        return from_rows(rows.view(count, places, features), value, self.axis), volume.view(count, places).sum(1)


class FlowPosterior(nn.Module):
    """Mean, log-variance and what the flows are told, one after the other on the features' axis.

    With `sizes` each flow is told so many numbers of its own, else all of them are told all.
    """

    def __init__(self, flows: Sequence[nn.Module], axis: int, dim: int, sizes: Sequence[int] | None = None) -> None:
        super().__init__()
        self.flows = nn.ModuleList(flows)
        self.axis, self.dim = axis, dim
        self.sizes = None if sizes is None else list(sizes)

    def forward(self, numbers: Tensor) -> Flowed:
        """The posteriors that the projection's output [N, ...] describes."""
        mean, log_variance, rest = torch.split(numbers, [self.dim, self.dim, numbers.shape[self.axis] - 2 * self.dim], self.axis)
        told = to_rows(rest, self.axis)
        each = [told] * len(self.flows) if self.sizes is None else torch.split(told, self.sizes, 2)
        return Flowed(DiagonalGaussian(mean, bounded_log_variance(log_variance)), self.flows, each, self.axis)
