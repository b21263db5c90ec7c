"""Units that no sample activates any more, and how they come back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from aebuild.modules.bent import along
from aebuild.modules.collectives import chosen, gathered, of_first, total
from aebuild.modules.losses import LossFunction
from aebuild.modules.outputs import Outputs
from aebuild.modules.randomness import Random
from aebuild.modules.sparse_codes import largest

Renewed = tuple[Tensor, int, Tensor]         # a parameter, the axis of its units, and which of them begin anew


class Revival(nn.Module):
    """Counts since how many training steps each unit of a code was not active; features on `axis`.

    `idle` is [D]. A unit is dead after `after` such steps.
    """

    idle: Tensor
    moves = False                # it changes weights itself

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


class Resampling(Revival, Random):
    """Dead units begin anew at inputs that are reconstructed badly (Bricken et al., 2023).

    Every so many training steps, at most so many `times`, each dead unit draws an input of the batch, with a chance proportional to the
    square of its squared error. Its column of the dictionary becomes the input's direction, its row of the projection the same with
    `scale` of the mean norm of the living ones, and its bias 0.
    """

    steps: Tensor
    moves = True

    def __init__(self, axis: int, units: int, after: int, every: int, times: int | None, scale: float) -> None:
        super().__init__(axis, units, after)
        self.every, self.times, self.scale = every, times, scale
        self.register_buffer("steps", torch.zeros(()))
        self._steps: int | None = 0            # the same, without asking the device; None where that must be asked first

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._steps = None

    def due(self) -> bool:
        """Counts a training step; True if dead units begin anew at it."""
        if self.steps.is_meta:
            return False
        self._steps = (int(self.steps) if self._steps is None else self._steps) + 1
        self.steps.add_(1)
        number, rest = divmod(self._steps, self.every)
        return not rest and (self.times is None or number <= self.times)

    @torch.no_grad()
    def renew(self, x: Tensor, error: Tensor, projection: Any, dictionary: nn.Linear, others: Sequence[tuple[nn.Parameter, float]] = ()
              ) -> list[Renewed]:
        """Moves the dead units to some of the inputs x [N, ..., d] with these squared errors [N, ...]; returns which weights it changed.

        `others` are numbers of each unit, [D], that begin anew at a value.
        """
        each, dead = error[0].numel(), self.dead
        chances = gathered(error.flatten(), each).double().square().cumsum(0)
        thrown = torch.rand(len(dead), generator=self.rng(x.device), device=x.device, dtype=chances.dtype)
        rows = of_first(torch.searchsorted(chances, thrown * chances[-1]).clamp(max=len(chances) - 1))
        every = x.flatten(0, -2).unsqueeze(0)
        found = chosen(every, rows.unsqueeze(0), each)[0]
        direction = nn.functional.normalize(found.to(dictionary.weight.dtype), dim=1)
        renewed: list[Renewed] = [(dictionary.weight, 1, dead), (projection.bias, 0, dead)]
        values: list[Tensor | float] = [direction.T, 0.0]
        if hasattr(projection, "weight"):
            living = ~dead | dead.all()
            norm = (projection.weight.norm(dim=1) * living).sum() / living.sum()
            renewed.append((projection.weight, 0, dead))
            values.append(direction * norm * self.scale)
        renewed += [(parameter, 0, dead) for parameter, _ in others]
        for (parameter, axis, which), value in zip(renewed, [*values, *(value for _, value in others)], strict=True):
            parameter.copy_(torch.where(along(which, parameter, axis), value, parameter))
        self.idle.masked_fill_(dead, 0)
        return renewed
