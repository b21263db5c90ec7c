"""Contrasts between samples by their classes; `labels` are class numbers, -1 where unknown."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from aebuild.modules.collectives import gathered, own, total, whole
from aebuild.modules.losses import Loss
from aebuild.modules.outputs import Outputs


class ByClass(Loss):
    """A loss of codes and their classes; None for a batch that nothing is known of."""

    def loss(self, outputs: Outputs) -> Tensor | None:
        """[N], zero for a sample without a class or a partner, scaled to the mean of the others."""
        if outputs.labels is None:
            return None
        raw, counts = self(outputs.code.value.flatten(1), outputs.labels)
        scaled: Tensor = raw * counts * (whole(len(counts)) / total(counts.sum()).clamp(min=1))
        return scaled

    def forward(self, code: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Of codes [N, D] the loss [N], and which samples it is one of, [N] of zeros and ones."""
        raise TypeError(f"{type(self).__name__} has no forward")


def compared(code: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The codes of the whole batch, [M, D], and for each of these samples which of them are of its class and which of another, [N, M]."""
    every, known = gathered(code), gathered(labels.unsqueeze(1)).squeeze(1)
    itself = own(torch.arange(len(every), device=code.device)).unsqueeze(1) == torch.arange(len(every), device=code.device)
    both = (labels >= 0).unsqueeze(1) & (known >= 0)
    alike = labels.unsqueeze(1) == known
    return every, both & alike & ~itself, both & ~alike


class Supervised(ByClass):
    """Supervised contrast (Khosla et al., 2020, their L_out): the others of its class among all labelled codes by cosine similarity."""

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, code: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """[N] and [N]; a sample counts if another one of the batch is of its class."""
        direction = F.normalize(code, dim=1)
        every, same, other = compared(direction, labels)
        similarity = (direction @ every.T / self.temperature).masked_fill(~(same | other), -torch.inf)
        partners = same.sum(1)
        counts = (partners > 0).to(code.dtype)
        sure = similarity.masked_fill((partners == 0).unsqueeze(1), 0.0)            # a row of which nothing is known has no logarithm
        share = sure.log_softmax(1).masked_fill(~same, 0.0)
        return -share.sum(1) / partners.clamp(min=1), counts


class Triplet(ByClass):
    """Hardest triplets (Schroff et al., 2015; Hermans et al., 2017): the farthest of its class nearer than the nearest of the others.

    By `margin`, in Euclidean distance.
    """

    def __init__(self, margin: float) -> None:
        super().__init__()
        self.margin = margin

    def forward(self, code: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """[N] and [N]; a sample counts if the batch has one of its class and one of another."""
        every, same, other = compared(code, labels)
        distance = (code.unsqueeze(1) - every).square().sum(2).clamp(min=1e-12).sqrt()      # cdist has no gradient at 0
        farthest = distance.masked_fill(~same, -torch.inf).amax(1)
        nearest = distance.masked_fill(~other, torch.inf).amin(1)
        counts = same.any(1) & other.any(1)
        apart = torch.where(counts, farthest - nearest, 0.0)
        return F.relu(apart + self.margin), counts.to(code.dtype)
