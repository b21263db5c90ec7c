"""How large the gradient of each stage is, for the last batch of an epoch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from aebuild.modules.collectives import portion
from aebuild.trainer.distributed.fsdp import local

if TYPE_CHECKING:
    from aebuild.trainer.players import ActivePlayer

GRADIENT = "gradient of "        # begins the names under which sizes of gradients are kept beside the means of an epoch


def stage_of(name: str) -> str:
    """The stage that a parameter belongs to: a step of a half, the latent, a loss."""
    head, _, rest = name.partition(".")
    return head if head in ("latent", "likelihood") or not rest else f"{head}.{rest.split('.')[0].split('_')[0]}"


def gradient_sizes(players: list[ActivePlayer]) -> tuple[tuple[str, ...], list[Tensor]]:
    """The root mean square of each stage's gradient as it stands after a batch; nothing where weights are divided."""
    held = {name: parameter.grad for player in players for name, parameter in player.named if parameter.grad is not None}
    if not held or any(gradient is not local(gradient) for gradient in held.values()):
        return (), []
    stages: dict[str, tuple[list[Tensor], int]] = {}
    for (name, gradient), norm in zip(held.items(), torch._foreach_norm(list(held.values())), strict=True):
        norms, count = stages.setdefault(stage_of(name), ([], 0))
        norms.append(norm)
        stages[stage_of(name)] = norms, count + gradient.numel()
    sizes = [torch.linalg.vector_norm(torch.stack(norms)) / count ** 0.5 for norms, count in stages.values()]
    return tuple(f"{GRADIENT}{stage}" for stage in stages), [portion(size.detach()) for size in sizes]


def apart(means: Mapping[str, float]) -> tuple[dict[str, float], dict[str, float]]:
    """Means of terms and metrics, and sizes of gradients by stage."""
    sizes = {name.removeprefix(GRADIENT): value for name, value in means.items() if name.startswith(GRADIENT)}
    return {name: value for name, value in means.items() if not name.startswith(GRADIENT)}, sizes
