"""The plan's types, parameters, buffers, names and MACs are exactly those of the module."""

from __future__ import annotations

import pytest
from hypothesis import given
from models import fine

from aebuild.results.part_laws.exact_plan import compare
from specs import specs


@pytest.mark.slow
@given(specs())
def test_plan_is_exact(text: str) -> None:
    plan = fine(text).plan
    assert plan is not None
    problems = compare(plan)
    assert not problems, "\n".join([*problems, text])


ON_GRIDS = ("conv: {width: 4, stride: 2}", "conv: {width: 4, kernel: 4, stride: 3, groups: depthwise}", "conv: {width: 4, stride: 2, "
            "weights: weight_norm}", "conv: {width: 4, stride: 2, weights: spectral_norm}", "separable_conv: {width: 4, stride: 2}",
            "inverted_residual: {width: 4, stride: 2, squeeze: 2}", "convnext: {width: 4, stride: 2}", "blur_pool: 2", "pool: 2",
            "residual: [conv: {width: 4, stride: 2, norm: instance}, squeeze_excitation: 2, conv: {width: 4, activation: snake}]")
DECODERS = ("mirror", "[conv: 4, convnext: 4, conv: {width: 4, upsample: nearest}]", "[inverted_residual: 4, conv: {width: 4, upsample: shuffle}]",
            "[separable_conv: 4, pool: 1, upsample: {mode: linear}, output: {kernel: 3}]",
            "{adapter: broadcast, steps: [coordinates, conv: {width: 4, stride: 1}]}")


@pytest.mark.parametrize("size", [(13,), (67,), (2, 37), (31, 29), (2, 3, 5), (11, 7, 2)], ids=str)
def test_every_layer_on_grids_of_every_rank_and_prime_sizes(size: tuple[int, ...]) -> None:
    """The decoder ends exactly at the data's size, whatever leads there."""
    for number, layer in enumerate(ON_GRIDS):
        decoder = DECODERS[number % len(DECODERS)] if number % 2 else "mirror"
        plan = fine(f"data: {{type: arrays, path: x.npy, shape: {[2, *size]}, as: grid}}\nencoder: [conv: 4, {layer}, norm: rms]\n"
                    f"latent: {{type: continuous, dim: 3}}\ndecoder: {decoder}\n").plan
        assert plan is not None
        assert compare(plan) == [], (layer, decoder)
