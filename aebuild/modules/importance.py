"""Bounds of the log-likelihood from several draws of a code."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class ImportanceWeighted(nn.Module):
    """The importance-weighted bound, as a loss.

    `repeats` bounds of `samples` draws each are averaged (MIWAE, Rainforth et al., 2018); a share `elbo` of the loss is the bound of
    single draws (CIWAE).
    """

    def __init__(self, samples: int, repeats: int, elbo: float) -> None:
        super().__init__()
        self.samples, self.repeats, self.elbo = samples, repeats, elbo

    def forward(self, terms: dict[str, Tensor]) -> Tensor:
        """[N, repeats·samples] each to [N]."""
        log_weights = -torch.stack(list(terms.values())).sum(0)
        each = log_weights.view(len(log_weights), self.repeats, -1)
        bound = (each.logsumexp(2) - math.log(each.shape[2])).mean(1)
        if self.elbo:
            bound = (1 - self.elbo) * bound + self.elbo * log_weights.mean(1)
        return -bound
