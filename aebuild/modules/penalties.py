"""Loss terms on the code itself."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aebuild.modules.bounds import bounded
from aebuild.modules.collectives import gathered, mean, own
from aebuild.modules.divergences import bernoulli_kl

EDGE = 1e-6          # a rate closer than this to 0 or 1 counts as this close


class SparsityKl(nn.Module):
    """KL in nats of a target rate to each unit's mean activation over the batch (Ng, 2011), summed over the units.

    Codes lie in (0, 1).
    """

    views = 1

    def __init__(self, target: float) -> None:
        super().__init__()
        self.target = target

    def forward(self, code: Tensor) -> Tensor:
        """[N, ...] to a scalar."""
        return bernoulli_kl(self.target, bounded(mean(code), EDGE, 1 - EDGE)).sum()


class SparsityL1(nn.Module):
    """The absolute values of the code."""

    views = 1

    def forward(self, code: Tensor) -> Tensor:
        """[N, ...] to the same."""
        return code.abs()


class NtXent(nn.Module):
    """The normalised temperature-scaled cross-entropy of two views of each sample (Chen et al., 2020).

    The other view of a sample must be found among all other codes of the batch by cosine similarity.
    """

    views = 2

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """[N, ...] twice to [N], the mean over a sample's two views."""
        views = [F.normalize(view.flatten(1), dim=1) for view in (first, second)]        # (N, D) each
        every = torch.cat([gathered(view) for view in views])                            # (2M, D), M rows in the whole batch
        similarity = torch.cat(views) @ every.T / self.temperature                       # (2N, 2M)
        place = torch.arange(len(every), device=every.device)
        itself = torch.cat([own(half) for half in place.chunk(2)])                       # (2N,)
        partner = (itself + len(every) // 2) % len(every)
        loss = F.cross_entropy(similarity.masked_fill(itself.unsqueeze(1) == place, -torch.inf), partner, reduction="none")
        return loss.view(2, len(first)).mean(0)
