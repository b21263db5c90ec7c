"""The receptive field and the longest path of a plan, held against gradients of the built module."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from aebuild.compile.build import build
from aebuild.compile.front import load
from aebuild.compile.reach import gradient_path, receptive_field

STEPS = ["[conv: {width: 2, kernel: 5, activation: none}]",
         "{layer: conv, width: [2, 3], kernel: [3, 4], stride: 2, activation: none}",
         "[conv: {width: 2, kernel: 3, stride: 2, dilation: 2, activation: none}, pool: {size: 2, mode: mean}, conv: {width: 2, activation: none}]",
         "[conv: {width: 2, stride: 2, activation: none}, residual: [conv: {width: 2, stride: 2, activation: none}], "
         "conv: {width: 2, activation: none}]"]


@pytest.mark.parametrize("steps", STEPS)
def test_the_receptive_field_is_where_the_gradient_is_not_zero(steps):
    text = f"data: {{type: digits, size: [97, 90]}}\nencoder: {steps}\nlatent: {{type: codebook, dim: 2, codes: 4}}\n"
    plan = load("s.yaml", text=text).require()
    encoder = build(plan).encoder
    for weight in encoder.parameters():
        nn.init.constant_(weight, 0.1)                  # nothing cancels
    x = torch.ones(1, *plan.input.shape, requires_grad=True)
    out = encoder(x, {})
    out[0, 0, out.shape[2] // 2, out.shape[3] // 2].backward()
    seen = x.grad[0, 0] != 0
    extent = tuple(int(places[-1] - places[0]) + 1 for places in (seen.any(1).nonzero(), seen.any(0).nonzero()))
    assert receptive_field(plan.encoder) == extent


UP = {"transposed": (6, "conv: {kernel: 5, stride: 2}, conv: {kernel: 7, stride: 3}"),
      "nearest, then a window": (6, "conv: {kernel: 5, stride: 3, upsample: nearest}, conv: {kernel: 4, stride: 2, upsample: nearest}"),
      "channels to space": (3, "conv: {kernel: 3, stride: 3, upsample: shuffle}, conv: {kernel: 5, stride: 1, dilation: 2}"),
      "interpolated": (6, "upsample: {scale: 3, mode: linear}, conv: {kernel: 3, stride: 1}, upsample: {scale: 2, mode: linear}"),
      "up and down again": (4, "upsample: {scale: 2}, conv: {kernel: 3, stride: 1}, pool: {size: 2, mode: mean}, conv: {kernel: 6, stride: 4}"),
      "beside a shortcut": (2, "conv: {kernel: 4, stride: 2}, residual: [conv: {width: 2, stride: 1, activation: none}]")}


@pytest.mark.parametrize("case", UP)
def test_of_a_decoder_it_is_that_of_the_place_that_sees_most(case):
    factor, steps = UP[case]
    steps = steps.replace("conv: {kernel", "conv: {width: 2, activation: none, kernel")
    text = (f"data: {{type: digits, size: [72, 48]}}\nencoder: [conv: {{width: 2, kernel: {factor}, stride: {factor}}}]\n"
            f"latent: {{type: continuous, dim: 2, per: position}}\ndecoder: [{steps}]\n")
    plan = load("s.yaml", text=text).require()
    decoder = build(plan).decoder
    for weight in decoder.parameters():
        nn.init.constant_(weight, 0.1)
    code = torch.ones(1, *plan.decoder.input.shape, requires_grad=True)
    out, most = decoder(code, {}), [0, 0]
    for axis in (0, 1):
        for place in range(out.shape[2 + axis]):
            grad, = torch.autograd.grad(out.select(2 + axis, place).sum(), code, retain_graph=True)
            seen = (grad[0, 0] != 0).any(1 - axis).nonzero()
            most[axis] = max(most[axis], int(seen[-1] - seen[0]) + 1)
    assert receptive_field(plan.decoder) == tuple(most)


def test_a_field_beyond_all_data_is_not_counted_on():
    plan = load("s.yaml", text="data: digits\nencoder: {layer: conv, depth: 200, width: 1, stride: 3}\n"
                               "latent: {type: continuous, dim: 2}\ndecoder: [linear: 2]\n").require()
    assert all(2 ** 40 < extent < 2 ** 45 for extent in receptive_field(plan.encoder))


@pytest.mark.parametrize(("encoder", "length"), [
    ("[linear: 8, linear: 4]", 2), ("[]", 0), ("[residual: [linear: 8, linear: 64], linear: 4]", 3),
    ("[residual: [linear: 8, linear: 32]]", 2), ("[conv: 4, flatten, linear: 3]", 2)])
def test_the_longest_path_goes_through_the_steps(encoder, length):
    plan = load("s.yaml", text=f"data: digits\nencoder: {encoder}\nlatent: {{type: continuous, dim: 2}}\n").plan
    assert gradient_path(plan.encoder) == length


def test_a_recurrent_layer_counts_for_each_place():
    plan = load("s.yaml", text="data: ecg5000\nencoder: [lstm: {width: 4}, linear: 3]\nlatent: {type: continuous, dim: 2}\n").plan
    assert gradient_path(plan.encoder) == 140 + 1
    assert receptive_field(plan.encoder) is None
