"""Priors of real codes that are learned networks: flows, and a second autoencoder."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn

from aebuild.modules.bounds import bounded_log_variance
from aebuild.modules.divergences import gaussian_kl
from aebuild.modules.flows import Flow, Standardisation, Transform, standard_normal
from aebuild.modules.priors import Prior


class FlowPrior(Prior):
    """N(0, I) through a flow."""

    def __init__(self, shape: Sequence[int], transforms: Sequence[Transform]) -> None:
        super().__init__(shape)
        self.flow = Flow(transforms)

    def log_prob(self, codes: Tensor) -> Tensor:
        """[N], by the change of variables."""
        u, log_det = self.flow(codes.flatten(1))
        found: Tensor = standard_normal(u) + log_det
        return found

    def draw(self, n: int, device: torch.device) -> Tensor:
        """[n, *shape]."""
        z, _ = self.flow.inverse(self.normal(n, prod(self.shape), device=device))
        return z.view(n, *self.shape)


class TwoStagePrior(Prior):
    """A second variational autoencoder, over codes (Dai and Wipf, 2019): as many latent values as the code has, a learned noise.

    It knows a bound of the density, by one draw.
    """

    def __init__(self, shape: Sequence[int], width: int) -> None:
        super().__init__(shape)
        size = prod(self.shape)
        self.standard = Standardisation(size)
        self.encoder = nn.Sequential(nn.Linear(size, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 2 * size))
        self.decoder = nn.Sequential(nn.Linear(size, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, size))
        self.log_variance = nn.Parameter(torch.zeros(()))

    def surprise(self, codes: Tensor) -> Tensor:
        """Nats, [N]: minus the evidence bound of the codes."""
        z, log_det = self.standard(codes.flatten(1))
        mean, log_variance = self.encoder(z).chunk(2, 1)
        log_variance = bounded_log_variance(log_variance)
        noise = self.drawn(torch.randn, mean.shape, z.device, dtype=z.dtype)
        again = self.decoder(mean + (0.5 * log_variance).exp() * noise)
        spread = (0.5 * self.log_variance).exp()
        given = standard_normal((z - again) / spread) - 0.5 * z.shape[1] * self.log_variance
        found: Tensor = gaussian_kl(mean, log_variance).sum(1) - given - log_det
        return found

    def draw(self, n: int, device: torch.device) -> Tensor:
        """[n, *shape]: a draw of N(0, I) decoded, and the noise of the decoder."""
        size = prod(self.shape)
        noise = self.normal(n, 2 * size, device=device)
        z = self.decoder(noise[:, :size]) + (0.5 * self.log_variance).exp() * noise[:, size:]
        return self.standard.inverse(z)[0].view(n, *self.shape)
