"""A prior over the codes of the trained model."""

from __future__ import annotations

from typing import Literal

from aebuild.lang.training import PhasePart


class Prior(PhasePart):
    """Trains a prior that is learned from the codes of the training data, with everything else frozen."""

    type: Literal["prior"] = "prior"
    example = ("latent: {type: continuous, dim: 3, prior: {type: flow, transforms: 1, width: 4}}\n"
               "train: {steps: 4, batch_size: 10, phases: [main, prior: {steps: 3, clip: 0.1, rates: {latent.prior: 0.5}}]}\n"
               "---\n"
               "data: {type: wine, limit: 50}\n"
               "latent: {type: continuous, dim: 3, prior: {type: flow, transforms: 1, width: 4}}\n"
               "train: {epochs: 8, batch_size: 20, optimizer: {lr: 0.02}, "
               "phases: [main: {epochs: 1}, prior: {patience: 1, optimizer: {lr: 0.3}}]}")
    also = ("latent_prior", "second_stage", "stage2")
    data = "codes"
    plays = "prior"

    def stretches(self, depth: int) -> list[tuple[str, tuple[int, str] | None]]:
        """One, over the prior."""
        return [("prior", None)]
