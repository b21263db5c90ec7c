"""Volumes drawn from known factors: contents and middles as geometry has them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aebuild.compile.front import load
from aebuild.data.assemble import load_splits
from aebuild.data.drawn_volumes import LARGE, MARGIN, PLACES, ROD, SIZES, SMALL, SOLIDS, draw_volumes, drawn_volume_factors
from aebuild.lang.samples import Where

EDGE = 32


@pytest.mark.parametrize(("solid", "content"), [("ball", 4 / 3 * np.pi), ("box", 8), ("rod", 2 * np.pi * ROD**2)])
def test_contents_and_middles_are_those_of_geometry(solid: str, content: float) -> None:
    factors = drawn_volume_factors(30, 0)
    factors[:, 0] = SOLIDS.index(solid)
    ink = draw_volumes(factors, EDGE)[:, 0] / 255
    half = EDGE * (SMALL + (LARGE - SMALL) * factors[:, 1] / (SIZES - 1))
    np.testing.assert_allclose(ink.sum((1, 2, 3)), content * half**3, rtol=0.06)
    ticks, mass = np.arange(EDGE) + 0.5, ink.sum((1, 2, 3))
    for place, axis in ((2, 3), (3, 2), (4, 1)):
        others = tuple(each for each in (1, 2, 3) if each != axis)
        middle = EDGE * (MARGIN + (1 - 2 * MARGIN) * factors[:, place] / (PLACES - 1))
        np.testing.assert_allclose((ink.sum(others) * ticks).sum(1) / mass, middle, atol=0.1)


def test_factors_stay_beside_their_volumes() -> None:
    text = "data: {type: volumes, samples: 60, voxels: 8, scale: none}\nencoder: [linear: 4]\nlatent: {type: continuous, dim: 2}\n"
    splits = load_splits(load("volumes.yaml", text=text).require().spec.data, Where(Path()))
    for split in (splits.train, splits.validation, splits.test):
        np.testing.assert_array_equal(split.x, draw_volumes(split.factors, 8))
        np.testing.assert_array_equal(split.labels, split.factors[:, 0])
    assert [(factor.name, factor.values) for factor in splits.info.factors] == [("solid", 3), ("size", 5), ("x", 8), ("y", 8), ("z", 8)]
