"""Measures of codes and of their neighbourhoods against closed forms, loops and other libraries."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import make_blobs

from aebuild.metrics import code_statistics as codes
from aebuild.metrics import neighbourhoods as near


def normal(count: int, size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, size))


def ranks(rows: np.ndarray) -> np.ndarray:
    """The place of each row among the neighbours of each other one, from 1."""
    apart = np.linalg.norm(rows[:, None] - rows[None], axis=2)
    np.fill_diagonal(apart, -1)
    return apart.argsort(1).argsort(1)


def test_trustworthiness_and_continuity_are_the_published_ones() -> None:
    x, y, k, n = normal(25, 4), normal(25, 2, seed=1), 3, 25
    before, after = ranks(x), ranks(y)

    def kept(one: np.ndarray, other: np.ndarray) -> float:
        """One less for each intruder by how far off it is."""
        lost = sum(one[i, j] - k for i in range(n) for j in range(n) if 1 <= other[i, j] <= k and one[i, j] > k)
        return 1 - 2 / (n * k * (2 * n - 3 * k - 1)) * lost

    assert near.trustworthiness(x, y, k) == pytest.approx(kept(before, after))
    assert near.continuity(x, y, k) == pytest.approx(kept(after, before))
    assert near.trustworthiness(x, x, k) == 1
    with pytest.raises(ValueError, match="more than 26"):
        near.trustworthiness(x, y, 13)


def test_of_equally_near_codes_figures_are_the_mean_over_all_choices() -> None:
    """Against distances with a little noise, drawn many times."""
    draw = np.random.default_rng(4)
    codes, data = draw.integers(0, 2, (9, 2)).astype(float), draw.integers(0, 3, (9, 2)).astype(float)
    labels, k = draw.integers(0, 2, 9), 3
    ranks = []
    for points in (data, codes):
        apart = np.linalg.norm(points[:, None] - points, axis=2) + 1e-6 * draw.random((4000, 9, 9)) + 1e9 * np.eye(9)
        ranks.append(apart.argsort(2).argsort(2) + 1)
    behind = (np.maximum(ranks[0] - k, 0) * (ranks[1] <= k)).sum((1, 2)).mean()
    assert near.trustworthiness(data, codes, k) == pytest.approx(1 - 2 * behind / (9 * k * (2 * 9 - 3 * k - 1)), abs=0.01)
    assert near.purity(codes, labels, k) == pytest.approx(((labels == labels[:, None]) & (ranks[1] <= k)).sum((1, 2)).mean() / 9 / k, abs=0.01)
    order = draw.permutation(9)
    assert near.purity(codes[order], labels[order], k) == pytest.approx(near.purity(codes, labels, k))
    assert near.tied(codes, k) > 0
    assert near.tied(draw.standard_normal((9, 2)), k) == 0
    far = np.concatenate([draw.standard_normal((8, 3)), [[1e5, 0, 0]]])           # one code far away does not make the others equal
    assert near.tied(far, k) == 0


def test_purity_is_that_of_a_loop_and_of_chance_where_codes_know_nothing() -> None:
    rows, labels = normal(40, 3), np.arange(40) % 4
    order = ranks(rows)
    wanted = np.mean([[labels[i] == labels[j] for j in range(40) if 1 <= order[i, j] <= 5] for i in range(40)])
    assert near.purity(rows, labels, 5) == pytest.approx(wanted)
    pairs = [labels[i] == labels[j] for i in range(40) for j in range(40) if i != j]
    assert near.purity_by_chance(labels) == pytest.approx(np.mean(pairs))
    assert near.purity(rows, labels, 39) == pytest.approx(near.purity_by_chance(labels))
    assert near.purity(np.ones((6, 2)), np.zeros(6, np.int64), 3) == 1                 # all tied, one class
    with pytest.raises(ValueError, match="at least 41"):
        near.purity(rows, labels, 40)


def test_clusters_that_are_apart_are_found() -> None:
    rows, labels = make_blobs(60, centers=[[0, 0], [20, 0], [0, 20]], random_state=0)
    found = near.cluster_figures(rows, labels, 0)
    assert (found["adjusted_rand"], found["mutual_information"]) == (1, 1)
    assert found["silhouette"] > 0.85
    chance = near.cluster_figures(rows, np.random.default_rng(0).permutation(labels), 0)
    assert abs(chance["adjusted_rand"]) < 0.06
    assert chance["silhouette"] == pytest.approx(found["silhouette"])
    with pytest.raises(ValueError, match="the same"):
        near.cluster_figures(rows, np.zeros(60, np.int64), 0)
    with pytest.raises(ValueError, match="2 different codes make no 3"):
        near.cluster_figures(rows[:, :1] > 10, labels, 0)
    with pytest.raises(ValueError, match="make no"):
        near.cluster_figures(rows[:3], np.arange(3), 0)
    twice = near.cluster_figures(np.repeat(np.eye(3), 2, axis=0), np.repeat(np.arange(3), 2), 0)       # as many codes as labels do
    assert (twice["adjusted_rand"], twice["silhouette"]) == (1, 1)


def test_entropy_is_scipys() -> None:
    counts = np.array([5, 0, 3, 1, 7])
    assert codes.entropy_bits(counts) == pytest.approx(stats.entropy(counts, base=2))
    assert codes.entropy_bits(np.array([0, 4])) == 0


def test_coded_bits_are_a_cross_entropy_place_by_place() -> None:
    known = np.array([[0, 1], [0, 0], [1, 1], [0, 1]])
    indices = np.array([[0, 0], [2, 1]])
    first, second = np.array([3.5, 1.5, 0.5]) / 5.5, np.array([1.5, 3.5, 0.5]) / 5.5
    wanted = -np.mean([np.log2(first[0]) + np.log2(second[0]), np.log2(first[2]) + np.log2(second[1])])
    assert codes.coded_bits(known, indices, 3) == pytest.approx(wanted)
    random = np.random.default_rng(0)
    many = random.choice(4, (20_000, 3), p=[0.7, 0.1, 0.1, 0.1])
    assert codes.coded_bits(many[:10_000], many[10_000:], 4) == pytest.approx(3 * stats.entropy([0.7, 0.1, 0.1, 0.1], base=2), rel=0.01)


def test_a_real_coder_takes_more_than_the_entropy_and_less_than_the_bytes() -> None:
    random = np.random.default_rng(0)
    skewed = random.choice(4, (4_000, 8), p=[0.7, 0.1, 0.1, 0.1])
    assert 8 * stats.entropy([0.7, 0.1, 0.1, 0.1], base=2) < codes.lzma_bits(skewed, 4) < 8 * 4
    assert codes.lzma_bits(np.zeros((4_000, 8), np.int64), 4) < 0.2
    noise = random.integers(0, 256, (2_000, 4))
    assert codes.lzma_bits(noise, 256) == pytest.approx(32, rel=0.01)
    assert codes.lzma_bits(noise, 257) > 32 > 30 > codes.lzma_bits(noise // 16, 256)
    assert codes.lzma_bits(noise + 70_000, 80_000) > 32


@pytest.mark.parametrize("shape", [(200, 5), (4, 9)])
def test_the_effective_dimension_is_that_of_the_eigenvalues(shape: tuple[int, int]) -> None:
    x = normal(*shape) * np.arange(1, shape[1] + 1)
    values = np.linalg.eigvalsh(np.cov(x, rowvar=False))
    assert codes.effective_dimension(x) == pytest.approx(values.sum() ** 2 / np.square(values).sum())
    line = np.outer(np.arange(9.0), [1, 2, 3])
    assert codes.effective_dimension(line) == pytest.approx(1)
    assert np.isnan(codes.effective_dimension(np.ones((5, 2))))


def test_total_correlation_is_the_closed_form() -> None:
    """Of two units −½·log(1 − ρ²); scaling and shifting change nothing."""
    white = np.linalg.qr(np.c_[np.ones(50), normal(50, 2)])[0][:, 1:]                   # uncorrelated to rounding
    rho = 0.8
    x = white @ np.array([[1, rho], [0, np.sqrt(1 - rho**2)]]) * [3, 0.1] + [5, -1]
    assert codes.total_correlation(x) == pytest.approx(-0.5 * log(1 - rho**2))
    assert codes.total_correlation(white) == pytest.approx(0, abs=1e-12)
    assert codes.total_correlation(np.c_[x, x[:, 0] - x[:, 1]]) == np.inf
    assert codes.total_correlation(normal(4, 6)) == np.inf
    assert np.isnan(codes.total_correlation(np.c_[x, np.ones(50)]))
    assert np.isnan(codes.total_correlation(x[:2]))


def test_information_of_gaussian_posteriors_is_the_closed_form() -> None:
    """Means of variance s² and posteriors of variance v tell ½·log(1 + s²/v) nats a unit."""
    means, spread = normal(2_000, 2) * [1.0, 0.5], np.log(0.3)
    draws = means + np.exp(spread / 2) * normal(2_000, 2, seed=1)
    found = codes.mixture_information(draws, means, np.full_like(means, spread))
    assert found == pytest.approx(0.5 * log(1 + 1 / 0.3) + 0.5 * log(1 + 0.25 / 0.3), abs=0.04)
    same = normal(50, 3)
    assert codes.mixture_information(same, np.zeros((50, 3)), np.zeros((50, 3))) == pytest.approx(0, abs=1e-12)
    apart = 1000 * normal(50, 3)
    assert codes.mixture_information(apart, apart, np.full((50, 3), -4.0)) == pytest.approx(log(50))
