"""Loss terms on the code itself."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from aebuild.modules.bounds import bounded
from aebuild.modules.collectives import gathered, mean, own, total, whole
from aebuild.modules.divergences import bernoulli_kl
from aebuild.modules.losses import Loss
from aebuild.modules.outputs import Outputs

EDGE = 1e-6          # a rate closer than this to 0 or 1 counts as this close
SMALL = 1e-6         # added to variances


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


class SquaredNorm(CodeLoss):
    """The squared values of the code."""

    def forward(self, code: Tensor) -> Tensor:
        """[N, ...] to the same."""
        return code.square()


class Decorrelation(CodeLoss):
    """The squared covariances of different units over the batch, each pair once (Cogswell et al., 2016); features on `axis`.

    With `normalize` they are correlations, of which `SMALL` keeps units that hardly vary.
    """

    def __init__(self, axis: int, *, normalize: bool) -> None:
        super().__init__()
        self.axis, self.normalize = axis, normalize

    def forward(self, code: Tensor) -> Tensor:
        """[N, ...] to a scalar; places count as samples."""
        rows = code.movedim(self.axis, -1)
        places = rows[0, ..., 0].numel()
        rows = rows - mean(rows.flatten(1, -2).mean(1) if places > 1 else rows.flatten(1))
        flat = rows.flatten(0, -2)                                                        # (N·P, D)
        covariance = total(flat.T @ flat) / (whole(len(code)) * places)
        if self.normalize:
            spread = (covariance.diagonal() + SMALL).sqrt()
            covariance = covariance / (spread * spread.unsqueeze(1))
        return covariance.triu(1).square().sum()


class Nested(Loss):
    """The reconstruction terms of the first units of the code alone, for several numbers of them (Kusupati et al., 2022)."""

    def __init__(self, axis: int, units: Sequence[int]) -> None:
        super().__init__()
        self.axis, self.units = axis, tuple(units)

    def loss(self, outputs: Outputs) -> Tensor:
        """[N, ...], added up over the numbers of units."""
        code = outputs.code.value
        place = torch.arange(code.shape[self.axis], device=code.device)
        place = place.view(-1, *(1,) * (code.ndim - 1 - self.axis % code.ndim))
        found = [outputs.judged(code * (place < first)) for first in self.units]
        return torch.stack(found).sum(0)


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
