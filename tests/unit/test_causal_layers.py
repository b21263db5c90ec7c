"""Causal convolutions: no place depends on a later one, whatever the stride, the length and the way up."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from aebuild.compile.build import build
from aebuild.compile.front import load

SPEC = """
data: {{type: arrays, path: none.npy, shape: {shape}}}
encoder: [conv: {{width: 5, kernel: 4, stride: 2, causal: true}}, residual: [conv: {{width: 5, dilation: 2, causal: true}}],
          conv: {{width: 4, stride: {stride}, causal: true}}]
latent: {{type: continuous, dim: 3, per: position}}
decoder: [conv: {{width: 4, kernel: 4, upsample: {way}, causal: true}}, conv: {{width: 5, upsample: {way}, causal: true}}]
losses: {{reconstruction: gaussian}}
"""


@pytest.mark.parametrize("way", ["transpose", "nearest", "shuffle"])
@pytest.mark.parametrize(("shape", "stride"), [([24, 2], 2), ([29, 1], 3), ([31, 1], 2)])
def test_no_place_depends_on_a_later_one(shape, stride, way):
    model = build(load("causal.yaml", text=SPEC.format(shape=shape, stride=stride, way=way)).require()).eval()
    x = torch.randn(1, *shape, dtype=torch.float64, requires_grad=True)
    back = model.double()(x)
    assert back.shape == x.shape
    for step in range(shape[0]):
        gradient, = torch.autograd.grad(back[:, step].sum(), x, retain_graph=True)
        assert not gradient[:, step + 1:].any(), step
        assert gradient.any()


def test_it_is_the_convolution_with_all_padding_in_front():
    text = "data: {type: arrays, path: none.npy, shape: [20, 2]}\nencoder: [conv: {width: 3, kernel: 3, dilation: 2, causal: true, " \
           "activation: null}]\nlatent: {type: continuous, dim: 3, per: position}\nlosses: {reconstruction: gaussian}\n"
    model = build(load("causal.yaml", text=text).require())
    x = torch.randn(4, 20, 2)
    weights = model.state_dict()
    wanted = F.conv1d(F.pad(x.transpose(1, 2), (4, 0)), weights["encoder.0.conv.weight"], weights["encoder.0.conv.bias"], dilation=2)
    assert torch.allclose(model.features(x), wanted, atol=1e-6)
