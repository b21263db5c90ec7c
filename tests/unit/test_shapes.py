"""Images drawn from known factors: areas and middles as geometry has them, and factors that stay beside their images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from aebuild.compile.front import load
from aebuild.data.assemble import load_splits
from aebuild.data.drawn_shapes import LARGE, MARGIN, PLACES, SHAPES, SIZES, SMALL, TURNS, draw_shapes, drawn_factors
from aebuild.lang.samples import DataInfo, Where
from aebuild.lang.splits import Splits

PIXELS = 64


def spec(data: str) -> str:
    return f"data: {data}\nencoder: [linear: 4]\nlatent: {{type: continuous, dim: 2}}\n"


def splits_of(data: str) -> Splits:
    return load_splits(load("shapes.yaml", text=spec(data)).require().spec.data, Where(Path()))


@pytest.mark.parametrize(("shape", "area"), [("square", 1.6**2), ("ellipse", np.pi / 2), ("triangle", 0.75 * 3**0.5)])
def test_areas_and_middles_are_those_of_geometry(shape: str, area: float) -> None:
    factors = drawn_factors(200, 0)
    factors[:, 0] = SHAPES.index(shape)
    ink = draw_shapes(factors, PIXELS)[:, 0] / 255
    radius = PIXELS * (SMALL + (LARGE - SMALL) * factors[:, 1] / (SIZES - 1))
    np.testing.assert_allclose(ink.sum((1, 2)), area * radius**2, rtol=0.02)
    ticks, mass = np.arange(PIXELS) + 0.5, ink.sum((1, 2))
    for place, axis in ((3, 1), (4, 2)):
        middle = PIXELS * (MARGIN + (1 - 2 * MARGIN) * factors[:, place] / (PLACES - 1))
        np.testing.assert_allclose((ink.sum(axis) * ticks).sum(1) / mass, middle, atol=0.1)


def test_a_quarter_turn_of_a_square_is_the_square_and_no_two_positions_look_alike() -> None:
    every = np.stack(np.meshgrid(*(np.arange(count) for count in (3, SIZES, TURNS, 2, 2)), indexing="ij"), -1).reshape(-1, 5)
    images = draw_shapes(every, 32).reshape(len(every), -1)
    assert len(np.unique(images, axis=0)) == len(every)
    square = np.asarray([[0, 3, 0, 5, 5], [0, 3, TURNS, 5, 5]])
    assert np.abs(np.diff(draw_shapes(square, 32).astype(int), axis=0)).max() <= 1


def test_factors_are_independent_and_of_the_seed() -> None:
    factors = drawn_factors(20_000, 3)
    assert np.abs(np.corrcoef(factors.T) - np.eye(5)).max() < 0.03
    for column, count in zip(factors.T, (3, SIZES, TURNS, PLACES, PLACES), strict=True):
        np.testing.assert_allclose(np.bincount(column) * count / 20_000, 1, atol=0.15)
    assert np.array_equal(factors, drawn_factors(20_000, 3))
    assert not np.array_equal(factors, drawn_factors(20_000, 4))


def test_factors_stay_beside_their_images() -> None:
    splits = splits_of("{type: shapes, samples: 120, pixels: 16, scale: none, limit: 50}")
    assert [len(split) for split in (splits.train, splits.validation, splits.test)] == [50, 12, 12]
    for split in (splits.train, splits.validation, splits.test, splits.test.thinned(5)):
        assert split.factors is not None
        assert split.labels is not None
        np.testing.assert_array_equal(split.x, draw_shapes(split.factors, 16))
        np.testing.assert_array_equal(split.labels, split.factors[:, 0])
    info = splits.info
    assert [(factor.name, factor.values, factor.ordered) for factor in info.factors] == [
        ("shape", 3, False), ("scale", 6, True), ("orientation", 10, True), ("x", 16, True), ("y", 16, True)]
    assert DataInfo.from_json(json.loads(json.dumps(info.to_json()))) == info
    older = info.to_json()
    del older["factors"]
    assert DataInfo.from_json(older).factors == ()
    assert splits_of("digits").test.factors is None
