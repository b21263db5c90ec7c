"""Terms whose weights follow from how large their gradients are."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

NEGLIGIBLE = 1e-9        # of the largest gradient: a term with less does not reach the place where gradients are compared
LEAST_RATIO = 1e-4       # of a term to what it was at first


class GradientBalance(nn.Module):
    """Weights at which the gradients of the terms are in balance (GradNorm, Chen et al., 2018).

    With gᵢ the norm of a term's gradient, and r̃ᵢ the term divided by what it was in the first batch and by the mean of these ratios, the
    weights Wᵢ have Wᵢ·gᵢ ∝ wᵢ·r̃ᵢ^`alpha`, where wᵢ is written, and add up to what the written ones do. Norms and terms are moving
    averages, of which a share `decay` stays at each batch. A term without a gradient keeps its written weight.
    """

    norms: Tensor        # [T]
    means: Tensor        # [T]
    first: Tensor        # [T]

    def __init__(self, terms: tuple[str, ...], alpha: float, decay: float) -> None:
        super().__init__()
        self.terms, self.alpha, self.decay = terms, alpha, decay
        for name in ("norms", "means", "first"):
            self.register_buffer(name, torch.full((len(terms),), torch.nan))         # before the first batch

    def forward(self, written: Mapping[str, float]) -> dict[str, Tensor]:
        """The weights of some of the terms in place of those that are written."""
        places = torch.tensor([self.terms.index(name) for name in written], device=self.norms.device)
        weights = torch.tensor([*written.values()], device=self.norms.device)
        factors = weights * self.factors()[places]
        balanced = self.reached()[places]
        scale = _sum(weights, balanced) / _sum(factors, balanced).clamp(min=torch.finfo(factors.dtype).tiny)
        return dict(zip(written, torch.where(balanced, factors * scale, weights), strict=True))

    def reached(self) -> Tensor:
        """Which terms are balanced, [T]."""
        norms = self.norms.nan_to_num(0.0)
        return norms > NEGLIGIBLE * norms.max()

    def factors(self) -> Tensor:
        """r̃ᵢ^alpha / gᵢ, [T]."""
        ratios, reached = (self.means / self.first).clamp(min=LEAST_RATIO), self.reached()
        return (ratios * reached.sum() / _sum(ratios, reached)) ** self.alpha / self.norms

    def figures(self) -> dict[str, Tensor]:
        """The weight of each term where 1 is written for all."""
        return {f"{name}_weight": weight for name, weight in self(dict.fromkeys(self.terms, 1.0)).items()}

    @torch.no_grad()
    def observe(self, means: Mapping[str, Tensor], norms: Mapping[str, Tensor]) -> None:
        """Learns terms and norms of their gradients in a batch that was just trained on; those that it lacks stay as they are."""
        nothing = self.norms.new_full((), torch.nan)
        for kept, found in ((self.means, means), (self.norms, norms)):
            now = torch.stack([found.get(name, nothing).to(nothing.dtype) for name in self.terms])
            average = torch.where(kept.isnan(), now, kept * self.decay + now * (1 - self.decay))
            kept.copy_(torch.where(now.isnan(), kept, average))
        self.first.copy_(torch.where(self.first.isnan(), self.means, self.first))


def _sum(values: Tensor, some: Tensor) -> Tensor:
    return torch.where(some, values, 0.0).sum()
