"""A prior that fills in indices where they are masked, many at a time."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aebuild.modules.above import CodeAbove, told_of, with_told
from aebuild.modules.causal import CausalTransformer
from aebuild.modules.prior_autoregressive import BEGINNING
from aebuild.modules.prior_mixture import chosen_of
from aebuild.modules.priors import Prior


class MaskedPrior(Prior):
    """Indices below K, [n, L], masked and filled in by a network that sees all places (Chang et al., 2022: MaskGIT).

    Drawn in `steps` steps: each fills in all masks and keeps what it is surest of, with Gumbel noise of `temperature`, which
    falls to 0, on how sure it is; so many masks are left after a step as a quarter of a cosine says.
    """

    def __init__(self, length: int, classes: int, width: int, network: CausalTransformer, *, steps: int, temperature: float,
                 above: CodeAbove | None = None) -> None:
        super().__init__((length,))
        self.above = above
        self.classes, self.steps, self.temperature = classes, steps, temperature
        self.embed = nn.Embedding(classes + 1, width)                  # the last one is the mask
        self.network = network
        self.output = nn.Linear(width, classes)
        for weight in (self.embed.weight, self.output.weight):
            nn.init.normal_(weight, 0, BEGINNING)
        nn.init.zeros_(self.output.bias)

    def given(self, context: dict[str, Any]) -> Prior:
        """The prior of samples whose code above is known."""
        return told_of(self, self.above, context)

    def logits(self, codes: Tensor, masked: Tensor, told: Tensor | None = None) -> Tensor:
        """[N, L, K], of codes [N, L] that are hidden where `masked` [N, L] is true."""
        x = with_told(self.embed(codes.masked_fill(masked, self.classes)), told, self.above)
        out: Tensor = self.output(self.network(x))
        return out

    def surprise(self, codes: Tensor, told: Tensor | None = None) -> Tensor:
        """Nats, [N]: the mean surprise at masked indices, times all.

        In training as many are masked as the cosine of a random angle says. In evaluation every number of masks is as likely as
        any other, so that its mean is a bound of the surprise at the whole code (Uria et al., 2014).
        """
        length = codes.shape[1]
        chance = self.uniform(len(codes), length + 1, codes.device)
        share = (0.5 * math.pi * chance[:, 0]).cos() if self.training else 1 - chance[:, 0]
        count = (share * length).ceil().clamp(1, length)
        masked = chance[:, 1:].argsort(1).argsort(1) < count.unsqueeze(1)
        each = F.cross_entropy(self.logits(codes, masked, told).transpose(1, 2), codes, reduction="none")
        found: Tensor = (each * masked).sum(1) * (length / count)
        return found

    def draw(self, n: int, device: torch.device, told: Tensor | None = None) -> Tensor:
        """[n, L]."""
        length, = self.shape
        codes = torch.zeros(n, length, dtype=torch.int64, device=device)
        masked = torch.ones(n, length, dtype=torch.bool, device=device)
        for step in range(1, self.steps + 1):
            chance = self.drawn(torch.rand, (n, 2, length), device)
            shares = self.logits(codes, masked, told).softmax(2)                               # (n, L, K)
            new = chosen_of(shares.flatten(0, 1), chance[:, 0].reshape(-1, 1)).view(n, length)
            gumbel = -(-chance[:, 1].clamp(min=1e-20).log()).clamp(min=1e-20).log()
            sure = shares.gather(2, new.unsqueeze(2)).squeeze(2).log() + self.temperature * (1 - step / self.steps) * gumbel
            codes = torch.where(masked, new, codes)
            left = min(int(length * math.cos(0.5 * math.pi * step / self.steps)), length - step) if step < self.steps else 0
            order = sure.masked_fill(~masked, math.inf).argsort(1).argsort(1)
            masked = order < max(0, left)
        return codes
