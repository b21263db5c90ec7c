"""How codebooks follow their vectors: running averages, restarts of dead entries, k-means."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aebuild.modules.collectives import chosen, total, whole
from aebuild.modules.nearest_code import nearest
from aebuild.modules.randomness import Random

LLOYD_STEPS = 10
RARE = 0.1              # share of an entry's fair part of the vectors under which it starts again
SPREAD = 0.01           # spare entries of k-means stand this many standard deviations beside a vector


def tally(found: Tensor, codes: int, weights: Tensor | None = None) -> Tensor:
    """How often each code was found: indices [B, M] to counts [B, K]; an index counts as much as its weight, [B, M]."""
    counts = torch.zeros(len(found), codes, device=found.device)
    if weights is None:
        weights = torch.ones((), device=found.device).expand(found.shape)
    return counts.scatter_add_(1, found, weights.to(counts.dtype))


def sums_of(x: Tensor, found: Tensor, codes: int) -> Tensor:
    """The sum of the vectors of each code: x [B, M, d] and indices [B, M] to [B, K, d]."""
    books, _, features = x.shape
    flat = found + codes * torch.arange(books, device=found.device).unsqueeze(1)
    sums = x.new_zeros(books * codes, features).index_add_(0, flat.flatten(), x.flatten(0, 1))
    return sums.view(books, codes, features)


class Ema(nn.Module):
    """Entries as running averages of the vectors they stand for (van den Oord et al., 2017, appendix A.1).

    `counts` [B, K] and `sums` [B, K, d] forget a share 1 − `decay` each step; an entry is sums / counts, with `epsilon` added
    to the counts and the total kept (Laplace smoothing). Entries that were never used stay where they are. With decay 0 on
    the whole data a step is one of Lloyd's.
    """

    counts: Tensor
    sums: Tensor

    def __init__(self, books: int, codes: int, features: int, decay: float, epsilon: float) -> None:
        super().__init__()
        self.decay, self.epsilon = decay, epsilon
        self.register_buffer("counts", torch.zeros(books, codes))
        self.register_buffer("sums", torch.zeros(books, codes, features))

    def reset(self) -> None:
        """Forgets everything."""
        self.counts.zero_()
        self.sums.zero_()

    def forward(self, entries: Tensor, x: Tensor, found: Tensor, counts: Tensor) -> None:
        """Moves `entries` [B, K, d] in place towards the vectors x [B, M, d] that found them."""
        codes = entries.shape[1]
        self.counts.lerp_(counts, 1 - self.decay)
        self.sums.lerp_(total(sums_of(x.to(self.sums.dtype), found, codes)), 1 - self.decay)
        mass = self.counts.sum(1, keepdim=True)
        smooth = (self.counts + self.epsilon) * (mass / (mass + codes * self.epsilon))
        used = (self.counts > 0).unsqueeze(2)
        entries.copy_(torch.where(used, self.sums / smooth.unsqueeze(2), entries))

    def forget(self, which: Tensor) -> None:
        """Forgets the entries marked in [B, K]; each starts again at its next use."""
        self.counts.masked_fill_(which, 0)
        self.sums.masked_fill_(which.unsqueeze(2), 0)


class Restart(Random):
    """Puts entries that are hardly used onto vectors drawn from the batch (Dhariwal et al., 2020).

    `usage` [B, K] is a running count of vectors per step, corrected for its start at zero. An entry under `below`, by default a tenth of
    what each would win if all won alike, is replaced and then counts as averagely used, so that it has time to win vectors.
    """

    usage: Tensor
    steps: Tensor

    def __init__(self, books: int, codes: int, below: float | None, decay: float) -> None:
        super().__init__()
        self.below, self.decay = below, decay
        self.register_buffer("usage", torch.zeros(books, codes))
        self.register_buffer("steps", torch.zeros(()))

    def reset(self) -> None:
        """Forgets everything."""
        self.usage.zero_()
        self.steps.zero_()

    def forward(self, entries: Tensor, x: Tensor, counts: Tensor, each: int = 1) -> Tensor:
        """Replaces dead entries [B, K, d] in place by vectors of x [B, M, d], `each` a sample; returns which ones, [B, K]."""
        (books, codes, _), vectors = entries.shape, each * whole(x.shape[1] // each)
        self.usage.lerp_(counts, 1 - self.decay)
        self.steps.add_(1)
        known, fair = 1 - self.decay ** self.steps, counts.mean(1, keepdim=True)
        below = RARE * fair if self.below is None else torch.full_like(fair, self.below)
        dead = self.usage < below * known
        drawn = torch.randint(vectors, (books, codes), generator=self.rng(x.device), device=x.device)
        fresh = chosen(x, drawn, each).to(entries.dtype)
        entries.copy_(torch.where(dead.unsqueeze(2), fresh, entries))
        self.usage.copy_(torch.where(dead, known * torch.maximum(below, fair), self.usage))
        return dead


@torch.no_grad()
def kmeans(x: Tensor, codes: int, generator: torch.Generator, *, unit: bool = False) -> Tensor:
    """Centres [B, K, d] of the vectors x [B, M, d]: ten Lloyd steps from vectors drawn without repetition.

    Where there are no more vectors than codes, each is a centre and the others are repetitions, each a little beside its vector. `unit`
    keeps centres at length one, as the vectors are.
    """
    books, vectors, features = x.shape
    drawn = torch.rand(books, vectors, generator=generator, device=x.device).argsort(1)[:, :codes]
    spare = codes - drawn.shape[1]
    drawn = torch.cat([drawn, torch.randint(vectors, (books, spare), generator=generator, device=x.device)], 1)
    centres = x.gather(1, drawn.unsqueeze(2).expand(-1, -1, features))
    if spare:
        noise = torch.randn(books, spare, features, generator=generator, device=x.device)
        centres[:, -spare:] += SPREAD * x.std(1, keepdim=True, correction=0) * noise
    for _ in range(LLOYD_STEPS if vectors > codes else 0):
        found = nearest(x, centres)
        counts = tally(found, codes).unsqueeze(2)
        centres = torch.where(counts > 0, sums_of(x, found, codes) / counts, centres)
        if unit:
            centres = F.normalize(centres, dim=-1)
    return centres
