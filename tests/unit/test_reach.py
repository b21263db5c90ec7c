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
