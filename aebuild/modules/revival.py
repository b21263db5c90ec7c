"""Units that no sample activates any more, and how they come back."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from aebuild.modules.collectives import total
from aebuild.modules.losses import LossFunction
from aebuild.modules.outputs import Outputs
from aebuild.modules.sparse_codes import largest


class Revival(nn.Module):
    """Counts since how many training steps each unit of a code was not active; features on `axis`.

    `idle` is [D]. A unit is dead after `after` such steps.
    """

    idle: Tensor

    def __init__(self, axis: int, units: int, after: int) -> None:
        super().__init__()
        self.axis, self.after = axis, after
        self.register_buffer("idle", torch.zeros(units))

    @torch.no_grad()
    def watch(self, code: Tensor) -> None:
        """Learns which units a batch of codes activates."""
        used = total((code.detach().movedim(self.axis, -1).flatten(0, -2) != 0).sum(0).to(self.idle.dtype)) > 0
        self.idle.add_(1).masked_fill_(used, 0)

    @property
    def dead(self) -> Tensor:
        """Which units are dead, [D]."""
        return self.idle >= self.after

    def beside(self, pre: Tensor) -> dict[str, Tensor]:
        """What `losses` read later of the pre-activations [N, ...]."""
        return {}

    def losses(self) -> dict[str, LossFunction]:
        """Terms that bring units back."""
        return {}


class Auxiliary(Revival):
    """The `k` largest dead units of each sample learn to reconstruct what the living leave over (Gao et al., 2024)."""

    def __init__(self, axis: int, units: int, after: int, k: int) -> None:
        super().__init__(axis, units, after)
        self.k = k

    def beside(self, pre: Tensor) -> dict[str, Tensor]:
        """Codes of the dead units alone."""
        dead = self.dead.view(-1, *(1,) * (pre.ndim - 1 - self.axis % pre.ndim))
        return {"dead_code": largest(pre.masked_fill(~dead, -torch.inf), self.k, self.axis)}

    def losses(self) -> dict[str, LossFunction]:
        """`auxiliary`."""
        return {"auxiliary": self.rest}

    def rest(self, outputs: Outputs) -> Tensor:
        """Squared distance of what the dead units add to what is missing, [N]; zero where none is dead."""
        code = outputs.code.beside["dead_code"]
        missing = (outputs.target - outputs.reconstruction).detach()
        added = outputs.decoded(code) - outputs.decoded(torch.zeros_like(code))
        return (missing - added).square().flatten(1).sum(1) * self.dead.any()
