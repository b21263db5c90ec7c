"""What every latent module returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from aebuild.modules.posteriors import Distribution


@dataclass
class Code:
    """A batch of codes.

    `value` is what the decoder gets; `terms` are named raw loss terms, [N, ...] to be summed over a sample and
    averaged over the batch, or scalars that stay as they are; `metrics` are named scalars to log, already detached;
    `indices` are codebook entries, [N, groups or positions], where the latent has them; `posterior` is what a variational code
    was drawn from; `beside` is what the latent's own losses read of this pass.
    """

    value: Tensor
    terms: dict[str, Tensor] = field(default_factory=dict)
    metrics: dict[str, Tensor] = field(default_factory=dict)
    indices: Tensor | None = None
    posterior: Distribution | None = None
    beside: dict[str, Tensor] = field(default_factory=dict)
