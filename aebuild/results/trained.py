"""A trained model with its data: what evaluation tasks are given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from aebuild.modules.randomness import derive, random_modules
from aebuild.trainer.batches.loader import SplitLoader
from aebuild.trainer.phase import passes, reseed_all

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.compile.plan import Plan
    from aebuild.lang.splits import Split, Splits
    from aebuild.modules.autoencoder import Autoencoder
    from aebuild.modules.outputs import Outputs


class TrainedModel:
    """See `lang.tasks.Trained`; `judged` is the split that is judged."""

    def __init__(self, plan: Plan, model: Autoencoder, splits: Splits, judged: Split) -> None:
        self.plan, self.model, self.splits, self.judged = plan, model, splits, judged

    def passes(self, split: Split) -> Iterator[Outputs]:
        """The forward pass of each batch, without gradients."""
        self.model.eval()
        feed, randoms = SplitLoader(split, next(self.model.parameters()).device), random_modules(self.model)
        for number, batch in enumerate(feed.passing(passes(self.plan, self.plan.model_phase, feed.samples))):
            with torch.no_grad():
                reseed_all(randoms, derive(self.plan.spec.train.seed, "task"), number)
                outputs = self.model.run(batch)
            yield outputs

    def codes(self, split: Split) -> NDArray[Any]:
        """The codes, [n, ...]; of a discrete latent its indices."""
        return np.concatenate([self.model.latent.codes_of(outputs.code).cpu().numpy() for outputs in self.passes(split)])

    def reconstructions(self, split: Split) -> NDArray[Any]:
        """The expected data, [n, ...]."""
        return np.concatenate([outputs.reconstruction.cpu().numpy() for outputs in self.passes(split)])

    def terms(self, split: Split) -> dict[str, NDArray[Any]]:
        """Each loss term of each sample, unweighted, [n]; terms of a whole batch are left out."""
        found: dict[str, list[NDArray[Any]]] = {}
        for outputs in self.passes(split):
            with torch.no_grad():
                raw = self.model.losses(outputs, [term.name for term in self.plan.terms])
            for term in self.plan.terms:
                if term.name in raw and raw[term.name].ndim:
                    found.setdefault(term.name, []).append(term.config.by_sample(raw[term.name], term.elements).cpu().numpy())
        return {name: np.concatenate(parts) for name, parts in found.items()}
