"""Samples of the training data that a model holds from the beginning, such as a prior's exemplars."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from aebuild.modules.randomness import random_modules
from aebuild.trainer.batches.loader import SplitLoader, order_of
from aebuild.trainer.phase import reseed_all

if TYPE_CHECKING:
    from aebuild.compile.plan import Plan
    from aebuild.lang.splits import Split
    from aebuild.modules.autoencoder import Autoencoder


@torch.no_grad()
def give_samples(plan: Plan, model: Autoencoder, train: Split) -> None:
    """Gives the prior as many samples as it wants to hold, drawn by the seed and the prior's own name, as the encoder takes them."""
    prior, seed = model.latent.prior, plan.spec.train.seed
    if not prior.held:
        return
    loader = SplitLoader(train, torch.device("cpu"))
    chosen = order_of(loader.samples, seed, "prior", 0)[:prior.held]
    was = model.training
    reseed_all(random_modules(model), seed, 0)
    samples = model.eval().corrupt(loader.take(chosen).x)
    model.train(was)
    prior.begin(samples.to(model.latent.device))
