"""Measures of sets of samples against closed forms, loops and other libraries."""

from __future__ import annotations

from math import erf, exp, pi, sqrt

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import pdist
from sklearn.neighbors import NearestNeighbors

from aebuild.metrics.nearest import nearest, nearness_ratio, share_closer
from aebuild.metrics.ngrams import distinct_ngrams, ngram_divergence
from aebuild.metrics.sample_distance import density_coverage, distances, energy_distance, median_distance, mmd2, precision_recall


def normal(count: int, mean: float = 0.0, size: int = 1, seed: int = 0) -> np.ndarray:
    return mean + np.random.default_rng(seed).standard_normal((count, size))


def test_the_discrepancy_of_shifted_gaussians_is_the_closed_form() -> None:
    """E k(x, x') = 1/√3 for N(0, 2) apart, times exp(-1/6) where the means are one apart."""
    wanted = 2 / sqrt(3) * (1 - exp(-1 / 6))
    assert wanted == pytest.approx(0.177268, abs=1e-6)
    found = [mmd2(distances(normal(800, seed=2 * seed), normal(800, 1.0, seed=2 * seed + 1)), 1.0) for seed in range(6)]
    assert np.mean(found) == pytest.approx(wanted, abs=4 * np.std(found) / sqrt(6))
    assert np.mean(found) == pytest.approx(wanted, abs=0.02)


def test_the_discrepancy_of_one_distribution_is_0_on_average() -> None:
    found = np.array([mmd2(distances(normal(40, seed=2 * seed), normal(40, seed=2 * seed + 1)), 1.0) for seed in range(300)])
    error = found.std() / sqrt(len(found))
    assert abs(found.mean()) < 3 * error < 2 * (1 - 1 / sqrt(3)) / 40             # which is what the biased estimate has too much
    assert (found < 0).any()


def test_the_discrepancy_is_that_of_a_loop() -> None:
    x, y = normal(5, size=3), normal(7, size=3, seed=1)

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return exp(-sum((a - b) ** 2) / (2 * 0.7**2))

    wanted = (sum(kernel(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j) / 20
              + sum(kernel(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j) / 42
              - 2 * sum(kernel(a, b) for a in x for b in y) / 35)
    assert mmd2(distances(x, y), 0.7) == pytest.approx(wanted, rel=1e-12)
    for wrong in (0.0, -1.0):
        with pytest.raises(ValueError, match="above 0"):
            mmd2(distances(x, y), wrong)
    with pytest.raises(ValueError, match="two samples"):
        mmd2(distances(x, y[:1]), 1.0)
    with pytest.raises(ValueError, match="two samples"):
        energy_distance(distances(x[:1], y))


def test_the_energy_distance_is_scipys_and_the_closed_form() -> None:
    x, y = normal(30), normal(50, 0.5, seed=1)
    held = distances(x, y)
    biased = 2 * held.between.mean() - held.real.mean() - held.others.mean()
    assert biased == pytest.approx(stats.energy_distance(x[:, 0], y[:, 0]) ** 2)
    assert energy_distance(held) == pytest.approx(biased - held.real.mean() / 29 - held.others.mean() / 49)
    spread = sqrt(2)

    def folded(mean: float) -> float:                   # E|N(mean, 2)|
        return spread * sqrt(2 / pi) * exp(-mean**2 / 4) + mean * erf(mean / 2)

    found = [energy_distance(distances(normal(800, seed=2 * seed), normal(800, 1.0, seed=2 * seed + 1))) for seed in range(6)]
    assert np.mean(found) == pytest.approx(2 * folded(1.0) - 2 * folded(0.0), abs=4 * np.std(found) / sqrt(6))


def test_the_median_is_that_of_different_pairs() -> None:
    x = normal(9, size=2)
    assert median_distance(distances(x, x).real) == pytest.approx(np.median(pdist(x)))
    assert median_distance(distances(np.ones((5, 2)), x).real) == 0


def radius(rows: np.ndarray, row: int, neighbours: int) -> float:
    return sorted(np.linalg.norm(rows[row] - other) for place, other in enumerate(rows) if place != row)[neighbours - 1]


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("neighbours", [1, 3])
def test_precision_recall_density_and_coverage_are_those_of_loops(ties: bool, neighbours: int) -> None:
    real, made = normal(23, size=2), normal(31, 0.7, 2, seed=1)
    if ties:
        real, made = np.round(real), np.round(made)
    inside = [[np.linalg.norm(a - b) <= radius(real, i, neighbours) for b in made] for i, a in enumerate(real)]
    among = [any(np.linalg.norm(a - b) <= radius(made, j, neighbours) for j, b in enumerate(made)) for a in real]
    held = distances(real, made)
    precision, recall = precision_recall(held, neighbours)
    density, coverage = density_coverage(held, neighbours)
    assert precision == pytest.approx(np.mean(np.any(inside, 0)))
    assert recall == pytest.approx(np.mean(among))
    assert density == pytest.approx(np.sum(inside) / (neighbours * len(made)))
    assert coverage == pytest.approx(np.mean(np.any(inside, 1)))


def test_coverage_and_density_of_one_distribution_are_the_published_ones() -> None:
    """Naeem et al. (2020), section 3.3: density 1, and the chance that none of M samples is among the k nearest."""
    count, neighbours = 150, 4
    found = [density_coverage(distances(normal(count, size=3, seed=2 * seed), normal(count, size=3, seed=2 * seed + 1)), neighbours)
             for seed in range(40)]
    missed = np.prod([(count - i) / (2 * count - i) for i in range(1, neighbours + 1)])
    for column, wanted in zip(np.array(found).T, (1.0, 1 - missed), strict=True):
        assert column.mean() == pytest.approx(wanted, abs=3.5 * column.std() / sqrt(len(found)))


def test_sets_that_are_alike_apart_or_one_point() -> None:
    x = normal(20, size=2)
    assert precision_recall(distances(x, x), 2) == (1, 1)
    assert precision_recall(distances(x, x + 100), 2) == (0, 0)
    assert density_coverage(distances(x, x + 100), 2) == (0, 0)
    same = np.ones((6, 2))
    assert precision_recall(distances(same, same), 2) == (1, 1)
    assert density_coverage(distances(same, same), 2)[1] == 1
    for wrong in (0, 20):
        with pytest.raises(ValueError, match="neighbours"):
            precision_recall(distances(x, x), wrong)
        with pytest.raises(ValueError, match="neighbours"):
            density_coverage(distances(x, x), wrong)


def test_of_equal_distances_a_share_counts_as_closer() -> None:
    assert share_closer(np.asarray([1.0, 2.0, 3.0, 0.5]), np.asarray([2.0, 2.0, 1.0, 0.5]), 0.25) == pytest.approx(1 / 4 + 0.25 * 2 / 4)


def test_the_nearest_is_that_of_scikit_learn_and_copies_are_at_0() -> None:
    samples, others = 1000 + normal(40, size=5).astype(np.float32), 1000 + normal(300, size=5, seed=1).astype(np.float32)
    samples[7] = others[123]
    found = nearest(samples, others)
    apart, rows = NearestNeighbors(n_neighbors=1).fit(others.astype(float)).kneighbors(samples.astype(float))
    np.testing.assert_array_equal(found.rows, rows[:, 0])
    np.testing.assert_allclose(found.distance, apart[:, 0], rtol=1e-9, atol=1e-6)
    assert (found.rows[7], found.distance[7]) == (123, 0)


def test_the_nearest_tokens_differ_in_the_fewest_places() -> None:
    random = np.random.default_rng(0)
    samples, others = random.integers(0, 3, (8, 6)), random.integers(0, 3, (20, 6))
    found = nearest(samples, others)
    wanted = (samples[:, None] != others[None]).mean(2)
    np.testing.assert_array_equal(found.rows, wanted.argmin(1))
    np.testing.assert_allclose(found.distance, wanted.min(1))


def test_how_near_samples_are() -> None:
    assert nearness_ratio(np.array([1.0, 2.0, 9.0]), np.array([4.0, 4.0])) == 0.5
    assert np.isnan(nearness_ratio(np.ones(2), np.zeros(2)))
    assert share_closer(np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.0, 2.0, 2.0, 5.0]), 0.1) == (2 + 0.1) / 4


def test_runs_of_tokens() -> None:
    """Pairs ab, bc of the first and ab, bd of the second: half of each is shared."""
    first, second = np.array([[0, 1, 2]]), np.array([[0, 1, 3]])
    assert ngram_divergence(first, second, 2) == pytest.approx(0.5)
    assert ngram_divergence(first, first, 3) == pytest.approx(0, abs=1e-12)
    assert ngram_divergence(first, second, 3) == pytest.approx(1)
    random = np.random.default_rng(0)
    x, y = random.integers(0, 4, (30, 9)), random.integers(0, 3, (20, 9))
    shares = [np.bincount(each.ravel(), minlength=4) / each.size for each in (x, y)]
    middle = (shares[0] + shares[1]) / 2
    assert ngram_divergence(x, y, 1) == pytest.approx(stats.entropy(middle, base=2) - sum(stats.entropy(each, base=2) for each in shares) / 2)
    assert distinct_ngrams(np.array([[0, 0, 0, 0], [0, 0, 1, 0]]), 2) == 3 / 6
    with pytest.raises(ValueError, match="no runs of 4"):
        distinct_ngrams(first, 4)
