"""Counts of genes in cells, drawn from a model that is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

TYPES, BATCHES = 4, 2           # of cells, and measurements that differ
GRADIENTS = 2                   # continuous factors within a type
DEPTH, SPREAD = 8.0, 0.4        # the mean total is so many counts a gene; the standard deviation of its logarithm
DROPPED = 0.1                   # share of the counts that are lost


class Drawn(NamedTuple):
    """Counts [n, genes], and the type and batch of each cell [n, 2]."""

    counts: NDArray[np.int64]
    factors: NDArray[np.int64]


def draw_counts(cells: int, genes: int, seed: int) -> Drawn:
    """A gene's mean is a cell's total times its share; the share depends on type, two gradients and batch by a log-linear model.

    Counts are negative binomial with an inverse dispersion for each gene, and of every tenth the count is lost (0), as measurements of
    single cells are (Lopez et al., 2018).
    """
    draw = np.random.RandomState(seed)
    base, by_type = draw.normal(0, 1, genes), draw.normal(0, 0.8, (TYPES, genes))
    slopes, by_batch = draw.normal(0, 0.4, (GRADIENTS, genes)), draw.normal(0, 0.3, (BATCHES, genes))
    dispersion = np.exp(draw.normal(1, 0.5, genes))
    factors = np.stack([draw.randint(0, TYPES, cells), draw.randint(0, BATCHES, cells)], 1).astype(np.int64)
    logits = base + by_type[factors[:, 0]] + by_batch[factors[:, 1]] + draw.normal(0, 1, (cells, GRADIENTS)) @ slopes
    shares = np.exp(logits - logits.max(1, keepdims=True))
    totals = DEPTH * genes * np.exp(draw.normal(-SPREAD**2 / 2, SPREAD, (cells, 1)))
    rates = totals * shares / shares.sum(1, keepdims=True)
    counts = draw.poisson(draw.gamma(dispersion, rates / dispersion))
    return Drawn(np.where(draw.random_sample(counts.shape) < DROPPED, 0, counts).astype(np.int64), factors)
