"""Loss terms on the code itself."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aebuild.modules.bounds import bounded
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
        return bernoulli_kl(self.target, bounded(code.mean(0), EDGE, 1 - EDGE)).sum()


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
        n = len(first)
        codes = F.normalize(torch.cat([first, second]).flatten(1), dim=1)                # (2N, D)
        similarity = codes @ codes.T / self.temperature
        itself = torch.eye(2 * n, dtype=torch.bool, device=codes.device)
        partner = torch.arange(2 * n, device=codes.device).roll(n)
        loss = F.cross_entropy(similarity.masked_fill(itself, -torch.inf), partner, reduction="none")
        return loss.view(2, n).mean(0)
