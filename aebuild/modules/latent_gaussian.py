"""A variational code: a diagonal Gaussian posterior, drawn by reparameterisation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from aebuild.modules.bounds import bounded_log_variance
from aebuild.modules.code import Code
from aebuild.modules.collectives import variance
from aebuild.modules.divergences import gaussian_kl
from aebuild.modules.latent import Latent
from aebuild.modules.recording import recording

ACTIVE = 0.01        # variance of the posterior mean over the data above which a unit is active (Burda et al., 2015)


class GaussianLatent(Latent):
    """N(mean, variance) for each value of the code (Kingma and Welling, 2013).

    The steps end in mean and log-variance, one after the other on the features' axis `axis`. The code, [N, *shape], is a
    draw, in training and in evaluation alike; a program recorded in evaluation mode takes the mean. The log-variance is held in [-20, 20].
    """

    def __init__(self, steps: Mapping[str, nn.Module], shape: Sequence[int], axis: int) -> None:
        super().__init__(steps)
        self.shape = tuple(shape)
        self.axis = axis

    def posterior(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance, [N, *shape] each."""
        mean, log_variance = self.project(h).chunk(2, self.axis)
        return mean, bounded_log_variance(log_variance)

    def forward(self, h: Tensor) -> Code:
        """A draw from the posterior, its `kl` to N(0, I) per value, and the number of active units in the batch."""
        mean, log_variance = self.posterior(h)
        if not self.training and recording():
            return Code(mean)
        noise = self.drawn(torch.randn, mean.shape, mean.device, dtype=mean.dtype)
        value = torch.addcmul(mean, (0.5 * log_variance).exp(), noise)
        with torch.no_grad():
            active = (variance(mean.detach()) > ACTIVE).sum().to(mean.dtype)
        return Code(value, {"kl": gaussian_kl(mean, log_variance)}, {"active_units": active})

    def draw(self, n: int) -> Tensor:
        """`n` codes from N(0, I)."""
        return self.normal(n, *self.shape)
