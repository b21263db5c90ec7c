"""How large the gradient of each stage is, for the last batch of an epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from aebuild.modules.collectives import portion
from aebuild.trainer.distributed.fsdp import by_rows, local

if TYPE_CHECKING:
    from aebuild.trainer.players import ActivePlayer

GRADIENT = "gradient of "        # begins the names under which sizes of gradients are kept beside the means of an epoch


def stage_of(name: str) -> str:
    """The stage that a parameter belongs to: a step of a half, the latent, a loss."""
    head, _, rest = name.partition(".")
    return head if head in ("latent", "likelihood") or not rest else f"{head}.{rest.split('.')[0].split('_')[0]}"


def gradient_sizes(players: list[ActivePlayer]) -> tuple[tuple[str, ...], list[Tensor]]:
    """This process's portion of the mean square of each stage's gradient, as it stands after a batch."""
    held = {name: parameter.grad for player in players for name, parameter in player.named if parameter.grad is not None}
    if not held:
        return (), []
    sums: dict[str, list[Tensor]] = {}
    counts: dict[str, int] = {}
    norms = torch._foreach_norm([local(gradient) for gradient in held.values()])
    for (name, gradient), norm in zip(held.items(), norms, strict=True):
        stage = stage_of(name)
        sums.setdefault(stage, []).append(norm.square() if by_rows(gradient) else portion(norm.square()))
        counts[stage] = counts.get(stage, 0) + gradient.numel()
    return tuple(f"{GRADIENT}{stage}" for stage in sums), [torch.stack(each).sum() / counts[stage] for stage, each in sums.items()]


def apart(means: Mapping[str, float]) -> tuple[dict[str, float], dict[str, float]]:
    """Means of terms and metrics; and the root mean square of each stage's gradient."""
    sizes = {name.removeprefix(GRADIENT): math.sqrt(value) for name, value in means.items() if name.startswith(GRADIENT)}
    return {name: value for name, value in means.items() if not name.startswith(GRADIENT)}, sizes
