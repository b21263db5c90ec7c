"""Figures of a trained model and its data that no training writes down."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from aebuild.lang.families import Activation
from aebuild.modules.randomness import derive, random_modules
from aebuild.results.baselines import clipped, fitted_rows, pca_reconstruction
from aebuild.trainer.batches.loader import SplitLoader, batch_bounds
from aebuild.trainer.phase import reseed_all

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.compile.plan import Plan
    from aebuild.lang.splits import Split
    from aebuild.modules.autoencoder import Autoencoder
    from aebuild.results.trained import TrainedModel

MOST_ROWS = 2_000      # samples that principal variances and gaps are measured on
BEYOND = 2.0           # standard errors that chance seldom makes
STILL = 1e-6           # a unit whose output moves by no more than this is dead


@dataclass(frozen=True)
class Spectrum:
    """The variances of data along their principal axes, largest first; they add up to that of all elements."""

    variances: NDArray[np.float64]
    elements: int

    def axes_for(self, share: float) -> int:
        """How many axes hold this share of the variance; at least one."""
        sums = np.cumsum(self.variances)
        return int(np.searchsorted(sums, share * sums[-1])) + 1 if len(sums) and sums[-1] > 0 else 1

    def left_after(self, axes: int) -> float:
        """Variance of an element that so many axes leave, on average."""
        return float(self.variances[axes:].sum()) / self.elements

    def at(self, axis: int) -> float:
        """The variance along an axis counted from 1; 0 beyond the last."""
        return float(self.variances[axis - 1]) if axis <= len(self.variances) else 0.0


def spectrum(rows: NDArray[Any], scale: NDArray[Any] | float = 1.0) -> Spectrum:
    """The spectrum of rows [n, D], each element divided by `scale` [D] first."""
    some = rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST_ROWS)).round().astype(np.int64)]
    centred = (some.astype(np.float64) - some.mean(0, dtype=np.float64)) / scale
    product = centred @ centred.T if len(centred) < centred.shape[1] else centred.T @ centred
    return Spectrum(np.linalg.eigvalsh(product)[::-1].clip(0) / len(centred), rows.shape[1])


@dataclass(frozen=True)
class Layer:
    """A layer's units: how many there are, and how many never move on any sample."""

    path: str
    units: int
    dead: int

    @property
    def share(self) -> float:
        """The share that is dead."""
        return self.dead / self.units


def dead_units(plan: Plan, trained: TrainedModel) -> list[Layer]:
    """The units behind each nonlinearity of encoder and decoder, over all samples and places of the judged split."""
    modules = dict(trained.model.named_modules())
    nodes = [node for half in (plan.encoder, plan.latent.node, plan.decoder) for node in half.walk()
             if isinstance(node.part, Activation) and node.path in modules]
    bounds: dict[str, tuple[Tensor, Tensor]] = {}

    def heard(path: str, axis: int) -> Any:
        def hear(_module: Any, _given: Any, output: Tensor) -> None:
            flat = output.detach().movedim(axis, -1).flatten(0, -2)
            low, high = flat.amin(0), flat.amax(0)
            if path in bounds:
                low, high = torch.minimum(low, bounds[path][0]), torch.maximum(high, bounds[path][1])
            bounds[path] = low, high
        return hear

    handles = [modules[node.path].register_forward_hook(heard(node.path, node.output.feature_axis)) for node in nodes]
    try:
        for _ in trained.passes(trained.judged):
            pass
    finally:
        for handle in handles:
            handle.remove()
    return [Layer(path, low.numel(), int((high - low <= STILL).sum())) for path, (low, high) in bounds.items()]


@dataclass(frozen=True)
class Gap:
    """A figure of the same samples with the statistics of their batches, and with the running ones."""

    training: float
    evaluation: float

    @property
    def share(self) -> float:
        """The difference as a share of the larger one."""
        most = max(abs(self.training), abs(self.evaluation))
        return abs(self.training - self.evaluation) / most if most else 0.0


def norm_gaps(plan: Plan, trained: TrainedModel) -> dict[str, Gap]:
    """The KL and the squared error of training samples with batch statistics beside those with running ones."""
    split = trained.splits.train
    split = split.thinned(min(len(split), max(MOST_ROWS // 2, plan.model_phase.batch_size)))
    batchwise = deepcopy(trained.model).eval()
    for module in batchwise.modules():
        if isinstance(module, _BatchNorm):
            module.train()
            module.momentum = 0.0                  # the running statistics stay as they are
    first, second = (_figures(plan, model, split) for model in (batchwise, trained.model.eval()))
    return {name: Gap(first[name], second[name]) for name in first}


@torch.no_grad()
def _figures(plan: Plan, model: Autoencoder, split: Split) -> dict[str, float]:
    loader, randoms, sums = SplitLoader(split, next(model.parameters()).device), random_modules(model), dict[str, float]()
    bounds = batch_bounds(len(split), plan.model_phase.batch_size)
    for number, ((start, stop), batch) in enumerate(zip(bounds, loader.passing(bounds), strict=True)):
        reseed_all(randoms, derive(plan.spec.train.seed, "diagnosis"), number)
        outputs = model.run(batch)
        figures = {"squared error": (outputs.reconstruction.float() - outputs.target.float()).square().mean()}
        figures |= {name: term.flatten(1).sum(1).mean() if term.ndim > 1 else term.mean() for name, term in outputs.terms.items()
                    if name == "kl"}
        for name, value in figures.items():
            sums[name] = sums.get(name, 0.0) + float(value) * (stop - start) / len(split)
    return sums


def has_batch_norm(model: Autoencoder) -> bool:
    """True if a module normalises over the batch."""
    return any(isinstance(module, _BatchNorm) for module in model.modules())


@torch.no_grad()
def squared_error(trained: TrainedModel, split: Split) -> float:
    """The mean squared error of an element of a split, in evaluation mode."""
    some = split.thinned(min(len(split), MOST_ROWS // 2))
    errors = [(outputs.reconstruction - outputs.target).square().flatten(1).mean(1) for outputs in trained.passes(some)]
    return float(torch.cat(errors).double().mean())


@torch.no_grad()
def worse_than_pca(trained: TrainedModel, components: int) -> bool:
    """True if the squared errors of the judged samples are larger than those of PCA beyond chance: by two standard errors of the mean."""
    split, training = trained.judged, fitted_rows(trained.splits.train.aims)
    reconstruct, differences = pca_reconstruction(training, components), []
    for outputs in trained.passes(split):
        target = outputs.batch.target.cpu().numpy()
        ours = np.square(outputs.reconstruction.cpu().numpy().astype(np.float64) - target).reshape(len(target), -1).mean(1)
        theirs = np.square(clipped(reconstruct(target), trained.plan.bounds).astype(np.float64) - target).reshape(len(target), -1).mean(1)
        differences.append(ours - theirs)
    apart = np.concatenate(differences)
    return len(apart) > 1 and float(apart.mean()) > BEYOND * float(apart.std(ddof=1)) / len(apart) ** 0.5


@contextmanager
def _seeded(trained: TrainedModel) -> Iterator[None]:
    reseed_all(random_modules(trained.model), derive(trained.plan.spec.train.seed, "diagnosis"), 0)
    yield


def prior_mismatch(trained: TrainedModel, codes: NDArray[Any]) -> float:
    """How far codes [n, D] are from draws of the prior: the largest Kolmogorov-Smirnov distance of one value, in [0, 1]."""
    from scipy.stats import ks_2samp

    with _seeded(trained), torch.no_grad():
        latent, count = trained.model.latent, max(len(codes), MOST_ROWS)
        told = trained.conditions(count)
        known = {} if told is None else {"conditions": torch.from_numpy(told).to(latent.device)}
        drawn = latent.prior.given(known).draw(count, latent.device).flatten(1).cpu().numpy()
    flat = codes.reshape(len(codes), -1)
    return max(float(ks_2samp(flat[:, axis], drawn[:, axis], method="asymp").statistic) for axis in range(flat.shape[1]))
