"""The KL of a variational code in its three parts, estimated from a batch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from aebuild.modules.collectives import gathered_samples, mean, own
from aebuild.modules.losses import Loss
from aebuild.modules.outputs import Outputs
from aebuild.modules.posteriors import DiagonalGaussian
from aebuild.modules.priors import Prior


@dataclass(frozen=True)
class KlParts:
    """Nats of each code of a batch, [n]: their means add up to the KL (Chen et al., 2018)."""

    mutual_information: Tensor
    total_correlation: Tensor
    dimension_wise: Tensor


def log_densities(codes: Tensor, means: Tensor, log_variances: Tensor) -> Tensor:
    """Log-density of each value of codes [n, D] under the posteriors [M, D] of all samples, [n, M, D]."""
    distance = (codes.unsqueeze(1) - means).square() * (-log_variances).exp()
    return -0.5 * (distance + log_variances + math.log(2 * math.pi))


def log_shares(owners: Tensor, batch: int, samples: int, *, stratified: bool) -> Tensor:
    """Logarithm of what each posterior of a batch counts in the density of all codes, [n, batch].

    Weighted: 1/(batch·samples) for each, which underestimates. Stratified: the owner of the code as the one sample that it is of
    all, another one for all samples that are not in the batch, and the rest for themselves; these add up to one.
    """
    if not stratified or batch == 1:
        return torch.full((len(owners), batch), -math.log(batch * (1 if stratified else samples)), device=owners.device)
    others, samples = batch - 1, max(samples, batch)
    shares = torch.full((len(owners), batch), 1 / others, device=owners.device)
    shares.scatter_(1, owners.unsqueeze(1), 1 / samples)
    shares.scatter_(1, ((owners + 1) % batch).unsqueeze(1), (samples - others) / (samples * others))
    return shares.log()


def kl_parts(codes: Tensor, means: Tensor, log_variances: Tensor, owners: Tensor, log_prior: Tensor, samples: int, *,
             stratified: bool) -> KlParts:
    """The parts for codes [n, D], drawn from the posteriors `owners` [n] among those of the batch [M, D]; `log_prior` is [n]."""
    each = log_densities(codes, means, log_variances)                                                        # (n, M, D)
    shares = log_shares(owners, len(means), samples, stratified=stratified)                                  # (n, M)
    conditional = each.gather(1, owners.view(-1, 1, 1).expand(-1, 1, codes.shape[1])).sum((1, 2))
    joint = (each.sum(2) + shares).logsumexp(1)
    marginals = (each + shares.unsqueeze(2)).logsumexp(1).sum(1)
    return KlParts(conditional - joint, joint - marginals, marginals - log_prior)


class BetaTc(Loss):
    """(α − 1) times the mutual information, (β − 1) the total correlation and (γ − 1) the dimension-wise KL, [N] nats.

    Added to a KL of weight 1 that makes the objective of Chen et al. (2018).
    """

    def __init__(self, weights: tuple[float, float, float], samples: int, prior: Prior, *, stratified: bool) -> None:
        super().__init__()
        self.weights, self.samples, self.stratified = weights, samples, stratified
        self.prior = prior

    def loss(self, outputs: Outputs) -> Tensor:
        """[N·draws]."""
        posterior = outputs.code.posterior
        assert isinstance(posterior, DiagonalGaussian), "the plan allows no other"
        means, log_variances = gathered_samples(posterior.mean.flatten(1)), gathered_samples(posterior.log_variance.flatten(1))
        owners = own(torch.arange(len(means), device=means.device).repeat_interleave(outputs.draws))
        value = outputs.code.value
        log_prior = self.prior.log_prob(value).reshape(len(value), -1).sum(1)
        parts = kl_parts(value.flatten(1), means, log_variances, owners, log_prior, self.samples, stratified=self.stratified)
        found = {"mutual_information": parts.mutual_information, "total_correlation": parts.total_correlation,
                 "dimension_wise_kl": parts.dimension_wise}
        outputs.metrics.update({name: mean(nats).detach() for name, nats in found.items()})
        alpha, beta, gamma = self.weights
        terms = zip((alpha, beta, gamma), found.values(), strict=True)
        return torch.stack([(weight - 1) * nats for weight, nats in terms if weight != 1]).sum(0)
