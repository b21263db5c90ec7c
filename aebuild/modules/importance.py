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


class PartiallyWeighted(nn.Module):
    """Two bounds of the same draws, as a loss whose gradient differs between the halves (PIWAE, Rainforth et al., 2018).

    The decoder's gradient is that of the bound of all draws, which is the value too; that of all else is of the mean of `repeats` bounds of
    `samples` draws each. The term `decoding` has the reconstruction's values and a gradient to the decoder alone.
    """

    def __init__(self, samples: int, repeats: int) -> None:
        super().__init__()
        self.parts, self.whole = ImportanceWeighted(samples, repeats, 0.0), ImportanceWeighted(samples * repeats, 1, 0.0)

    def forward(self, terms: dict[str, Tensor]) -> Tensor:
        """[N, repeats·samples] each to [N]."""
        decoding = terms["decoding"]
        drawn = {name: term for name, term in terms.items() if name != "decoding"}
        parts, whole = self.parts(drawn), self.whole(drawn)
        log_weights = -torch.stack(list(drawn.values())).sum(0).detach()
        shares = log_weights.view(len(log_weights), self.parts.repeats, -1).softmax(2).flatten(1) / self.parts.repeats
        amended = ((log_weights.softmax(1) - shares) * decoding).sum(1)           # what the decoder's gradient must have beside
        result: Tensor = whole.detach() + (parts - parts.detach()) + (amended - amended.detach())
        return result
