"""A variational code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from aebuild.modules.code import Code
from aebuild.modules.collectives import variance
from aebuild.modules.conditional_prior import GaussianAt
from aebuild.modules.latent import Latent
from aebuild.modules.priors import Prior
from aebuild.modules.recording import recording

ACTIVE = 0.01        # variance of the posterior mean over the data above which a unit is active (Burda et al., 2015)


class GaussianLatent(Latent):
    """A draw from a posterior that is pulled to a prior (Kingma and Welling, 2013).

    `posterior` makes a distribution of the projection's output. The code, [N, *shape], is a draw, in training and in evaluation
    alike; a program recorded in evaluation mode takes the mean. Where the prior is found only afterwards, `pull` is what codes are
    pulled to meanwhile.
    """

    def __init__(self, steps: Mapping[str, nn.Module], shape: Sequence[int], posterior: nn.Module, prior: Prior, pull: Prior | None = None
                 ) -> None:
        super().__init__(steps, prior)
        self.pull = pull
        self.shape = tuple(shape)
        self.posterior = posterior
        self.follows, self.beside_prior = (getattr(posterior, each, False) for each in ("follows", "beside_prior"))
        self.curved = getattr(posterior, "curved", False)          # draws move in the prior's metric,
        self.subset = int(getattr(posterior, "subset", 0))         # in training of so many samples

    def forward(self, h: Tensor, context: dict[str, Any] | None = None, draws: int | None = None) -> Code:
        """A draw from the posterior, its `kl` to the prior, and the number of active units in the batch.

        The divergence is a closed form where one is known, unless `draws` are given: then it is that of the draws.
        """
        posterior = self.posterior(self.project(h, context))
        if not self.training and recording() and not self.beside_prior:
            return Code(posterior.mean)
        pull = (self.pull or self.prior).given(context or {})
        if self.beside_prior:
            assert isinstance(pull, GaussianAt), "only such a prior is taken with such a posterior"
            posterior = pull.moved(posterior)
            if not self.training and recording():
                return Code(posterior.mean)
        if self.follows:
            posterior.follow(partial(_log_joint, pull, (context or {})["surprise"]))
        if self.curved:
            posterior.bend(partial(self.prior.metric, self.subset))
        value = posterior.sample(posterior.noise(self.drawn, draws or 1))
        with torch.no_grad():
            active = (variance(posterior.centre.detach()) > ACTIVE).sum().to(value.dtype)
        kl = pull.divergence(posterior, value, closed=draws is None)
        return Code(value, {"kl": kl}, {"active_units": active}, posterior=posterior)


def _log_joint(prior: Prior, surprise: Callable[[Tensor], Tensor], value: Tensor) -> Tensor:
    """log p(z) + log p(x|z) of codes [M, *shape], [M]."""
    log_prior = prior.log_prob(value)
    return (log_prior.flatten(1).sum(1) if log_prior.ndim > 1 else log_prior) - surprise(value)


class SphericalLatent(GaussianLatent):
    """The same on the unit sphere, of features on `axis`."""

    def __init__(self, steps: Mapping[str, nn.Module], shape: Sequence[int], posterior: nn.Module, prior: Prior, axis: int) -> None:
        super().__init__(steps, shape, posterior, prior)
        self.axis = axis

    def settled(self, value: Tensor) -> Tensor:
        """Back on the sphere, so that a straight line becomes an arc."""
        return nn.functional.normalize(value, dim=self.axis)
