from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from data_making import load, probe_refusal, refusal
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from aebuild.data.scaling import fit_scaling
from aebuild.lang.splits import Scaling
from aebuild.lang.values import Grid, Range, Sequence, Value, Vector

TYPES: list[tuple[Value, tuple[int, ...]]] = [(Vector(5), (0,)), (Sequence(7, 3), (0, 1)), (Grid(2, (4, 6)), (0, 2, 3)),
                                              (Grid(2, (9,)), (0, 2))]


@pytest.mark.parametrize(("value", "axes"), TYPES)
def test_standard_is_mean_zero_deviation_one_of_each_feature(value: Value, axes: tuple[int, ...]) -> None:
    raw = np.random.default_rng(0).normal(3, 5, (40, *value.shape))
    scaling = fit_scaling(raw, "standard", None, value)
    scaled = scaling.apply(raw)
    assert np.allclose(scaled, (raw - raw.mean(axes, keepdims=True)) / raw.std(axes, keepdims=True), atol=1e-6)
    assert np.allclose(scaling.undo(scaled), raw, atol=1e-5)
    assert scaled.dtype == np.float32


@pytest.mark.parametrize(("value", "axes"), TYPES)
@pytest.mark.parametrize(("scale", "low"), [("unit", 0), ("signed", -1)])
def test_unit_and_signed_fill_their_interval(value: Value, axes: tuple[int, ...], scale: str, low: int) -> None:
    raw = np.random.default_rng(0).normal(3, 5, (40, *value.shape))
    scaled = fit_scaling(raw, scale, None, value).apply(raw)
    over = None if isinstance(value, Grid) else axes            # channels of images keep their proportions
    assert np.allclose(scaled.min(over), low, atol=1e-6)
    assert np.allclose(scaled.max(over), 1, atol=1e-6)
    assert scaled.min() >= low
    assert scaled.max() <= 1


def test_bytes_are_divided_by_255_exactly() -> None:
    raw = np.arange(256, dtype=np.uint8).reshape(256, 1, 1, 1)
    assert (fit_scaling(raw, "unit", (0, 255), Grid(1, (1, 1))).apply(raw)[:, 0, 0, 0] == (np.arange(256) / 255).astype(np.float32)).all()
    signed = fit_scaling(raw, "signed", (0, 255), Grid(1, (1, 1))).apply(raw)
    assert (signed.min(), signed.max()) == (-1, 1)


def test_values_outside_the_training_range_are_clipped_and_counted() -> None:
    scaling = fit_scaling(np.asarray([[0.0], [10.0]]), "unit", None, Vector(1))
    later = np.asarray([[-5.0], [5.0], [20.0]])
    assert scaling.apply(later)[:, 0].tolist() == [0, 0.5, 1]
    assert scaling.outside(later) == 2


def test_a_constant_feature_becomes_zero_and_comes_back() -> None:
    raw = np.full((7, 2), 0.1)
    for scale in ("standard", "unit"):
        scaling = fit_scaling(raw, scale, None, Vector(2))
        assert (scaling.apply(raw) == 0).all()
        assert np.allclose(scaling.undo(scaling.apply(raw)), raw)


@settings(deadline=None)
@given(raw=hnp.arrays(np.float64, (6, 3), elements=st.floats(-1e6, 1e6)), scale=st.sampled_from(["standard", "unit", "signed", "none"]))
def test_undo_is_the_inverse_and_json_keeps_it(raw: np.ndarray, scale: str) -> None:
    scaling = Scaling.from_json(json.loads(json.dumps(fit_scaling(raw, scale, None, Vector(3)).to_json())))
    assert np.allclose(scaling.undo(scaling.apply(raw)), raw, rtol=1e-5, atol=1e-5 * max(1.0, float(np.abs(raw).max())))


def test_scaling_is_fitted_on_training_samples_only(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(50, 3))
    np.savez(tmp_path / "a.npz", x_train=x, x_test=x + 100)
    splits = load("arrays", tmp_path, path="a.npz", limit=20)
    assert np.allclose(splits.train.x.mean(0), 0, atol=1e-6)
    assert np.allclose(splits.train.x.std(0), 1, atol=1e-5)
    assert splits.test.x.mean() > 50


@pytest.mark.parametrize(("scale", "range_"),
                         [("unit", Range(0, 1)), ("signed", Range(-1, 1)), ("standard", Range()), ("none", Range(0, 255)),
                                               ("integer", Range(0, 255, True))])
def test_range_follows_from_scale(tmp_path: Path, scale: str, range_: Range) -> None:
    np.savez(tmp_path / "a.npz", x=np.random.default_rng(0).integers(0, 256, (30, 4, 4), dtype=np.uint8))
    splits = load("arrays", tmp_path, path="a.npz", scale=scale)
    assert splits.info.range == range_
    for part in (splits.train, splits.validation, splits.test):
        assert range_.low is None or range_.high is None or (part.x.min() >= range_.low and part.x.max() <= range_.high)


def test_integer_scale_wants_whole_numbers(tmp_path: Path) -> None:
    x = np.arange(30.0).reshape(30, 1)
    np.savez(tmp_path / "a.npz", x=x)
    assert set(load("arrays", tmp_path, path="a.npz", scale="integer").train.x[:, 0]) <= set(range(30))
    x[17] = 0.5
    np.savez(tmp_path / "a.npz", x=x)
    found = refusal("arrays", tmp_path, path="a.npz", scale="integer")
    assert found.code == "AE417"
    assert "record 17 holds 0.5" in found.message


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_named(tmp_path: Path, bad: float) -> None:
    x = np.zeros((40, 2, 5))
    x[23, 1, 2] = bad
    np.savez(tmp_path / "a.npz", x=x)
    found = refusal("arrays", tmp_path, path="a.npz")
    assert found.code == "AE405"
    assert "array x, record 23" in found.message


def test_values_too_large_for_floats_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.linspace(-0.8e308, 0.8e308, 60).reshape(30, 2))
    for scale in ("none", "standard"):
        assert refusal("arrays", tmp_path, path="a.npz", scale=scale).code == "AE405"
    assert load("arrays", tmp_path, path="a.npz", scale="unit").train.x.max() == 1


def test_size_and_pad_are_for_images(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((30, 5)))
    assert probe_refusal("arrays", tmp_path, path="a.npz", size=4).code == "AE413"
    assert probe_refusal("arrays", tmp_path, path="a.npz", pad=1).code == "AE413"


def test_pad_is_black_and_comes_after_size() -> None:
    splits = load("digits", Path(), size=[10, 6], pad=3)
    assert splits.info.value == Grid(1, (16, 12))
    splits.train.x[:, :, 3:-3, 3:-3] = 0
    assert not splits.train.x.any()
    assert (load("digits", Path(), pad=2).train.x[:, :, 2:-2, 2:-2] == load("digits", Path()).train.x).all()
