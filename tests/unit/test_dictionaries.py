"""Data drawn from known directions, and how well a dictionary has found them."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import r2_score

from aebuild.data.drawn_activations import draw_activations, drawn_dictionary
from aebuild.metrics.dictionaries import best_cosines, explained_variance


def test_samples_are_sums_of_few_directions() -> None:
    truth = drawn_dictionary(12, 16, 5)
    np.testing.assert_allclose(np.linalg.norm(truth, axis=1), 1, rtol=1e-6)
    x = draw_activations(4000, truth, 3.0, 0.0, 5)
    strength = np.linalg.lstsq(truth.T.astype(float), x.T.astype(float), rcond=None)[0].T       # fewer directions than values: unique
    active = strength > 0.25
    np.testing.assert_allclose(strength[~active], 0, atol=1e-5)
    assert strength[active].min() > 0.499 and strength[active].max() < 1.501
    assert active.sum(1).mean() == pytest.approx(3, abs=0.1)
    np.testing.assert_allclose(active.mean(0), 0.25, atol=0.03)
    noisy = draw_activations(4000, truth, 3.0, 0.2, 5) - x
    assert noisy.std() == pytest.approx(0.2, rel=0.02)
    assert np.array_equal(draw_activations(50, truth, 3.0, 0.0, 5), draw_activations(50, truth, 3.0, 0.0, 5))


def test_the_nearest_unit_counts_whatever_its_length() -> None:
    truth = np.eye(3)
    found = np.array([[5.0, 0, 0], [0, 1, 1], [0, 0, 0]])
    np.testing.assert_allclose(best_cosines(truth, found), [1, 0.5**0.5, 0.5**0.5])
    np.testing.assert_allclose(best_cosines(2 * truth, found[::-1]), [1, 0.5**0.5, 0.5**0.5])
    np.testing.assert_allclose(best_cosines(truth, found[2:]), 0)


def test_explained_variance_weighs_values_by_their_spread() -> None:
    x = np.random.default_rng(0).normal(size=(40, 5)) * [1, 2, 3, 4, 5]
    back = x + np.random.default_rng(1).normal(size=x.shape)
    assert explained_variance(x, back) == pytest.approx(r2_score(x, back, multioutput="variance_weighted"))
