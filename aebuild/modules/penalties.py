"""Loss terms on the code itself."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from aebuild.modules.bounds import bounded
from aebuild.modules.collectives import gathered, mean, own
from aebuild.modules.divergences import bernoulli_kl
from aebuild.modules.losses import Loss
from aebuild.modules.outputs import Outputs

EDGE = 1e-6          # a rate closer than this to 0 or 1 counts as this close


class CodeLoss(Loss):
    """A loss of the code alone."""

    def forward(self, code: Tensor) -> Tensor:
        """[N, ...] to the raw term."""
        raise TypeError(f"{type(self).__name__} has no forward")

    def loss(self, outputs: Outputs) -> Tensor:
        """The term of the code in this pass."""
        return self(outputs.code.value)  # type: ignore[no-any-return]


class SparsityKl(CodeLoss):
    """KL in nats of a target rate to each unit's mean activation over the batch (Ng, 2011), summed over the units.

    Codes lie in (0, 1).
    """

    def __init__(self, target: float) -> None:
        super().__init__()
        self.target = target

    def forward(self, code: Tensor) -> Tensor:
        """[N, ...] to a scalar."""
        return bernoulli_kl(self.target, bounded(mean(code), EDGE, 1 - EDGE)).sum()


class SparsityL1(CodeLoss):
    """The absolute values of the code."""

    def forward(self, code: Tensor) -> Tensor:
        """[N, ...] to the same."""
        return code.abs()


class NtXent(Loss):
    """The normalised temperature-scaled cross-entropy of two views of each sample (Chen et al., 2020).

    The other view of a sample must be found among all other codes of the batch by cosine similarity.
    """

    def __init__(self, temperature: float) -> None:
        super().__init__()
        self.temperature = temperature

    def loss(self, outputs: Outputs) -> Tensor:
        """The code beside that of another draw of what corrupts."""
        return self(outputs.code.value, outputs.another_view().value)  # type: ignore[no-any-return]

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
