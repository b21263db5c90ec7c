"""What the plan says that backward keeps of a batch, held against what autograd saves."""

from __future__ import annotations

import pytest
import torch

from aebuild.compile.build import build
from aebuild.compile.front import load
from aebuild.compile.memory import FLOAT, memory_of
from aebuild.lang.attending import SCORES
from aebuild.lang.values import elements
from aebuild.modules import transformer
from aebuild.results.part_laws.trial import samples

REST = "\ntrain: {batch_size: 64}\n"
MODELS = {
    "rectified": "data: digits\nencoder: [linear: 96, linear: 48]\nlatent: {type: gaussian, dim: 4}",
    "normalised convolutions": "data: digits\nencoder: [conv: {width: 8, norm: batch, activation: gelu}, residual: [conv: 8], pool: 2, dropout: 0.1]\n"
                               "latent: {type: continuous, dim: 4}\ndecoder: [conv: {width: 8, stride: 2, activation: snake}]",
    "attention": "data: ecg5000\nencoder: [conv: {width: 8, stride: 4}, transformer: {width: 8, heads: 2}]\nlatent: {type: continuous, dim: 4}\n"
                 "decoder: [linear: 8]",
    "recurrence": "data: ecg5000\nencoder: [gru: 8]\nlatent: {type: continuous, dim: 4}\ndecoder: [lstm: 8]",
    "dropout between recurrent layers": "data: ecg5000\nencoder: {layer: rnn, depth: 3, width: 8, dropout: 0.2}\n"
                                        "latent: {type: continuous, dim: 4}\ndecoder: [linear: 8]",
    "place by place": "data: {type: digits, scale: integer}\nencoder: [linear: 8]\nlatent: {type: continuous, dim: 2}\n"
                      "decoder: [pixelcnn: {width: 6, depth: 3}]\nlosses: {reconstruction: discretized_logistic}",
    "channel by channel": "data: cifar10\nencoder: [pool: 16, linear: 2]\nlatent: {type: continuous, dim: 2}\n"
                          "decoder: [pixelcnn: {width: 4, depth: 1}, conv: {width: 8, kernel: 1}]\nlosses: {reconstruction: discretized_logistic}",
    "slopes of the decoder": "data: digits\nencoder: [linear: 8]\nlatent: {type: continuous, dim: 4}\ndecoder: [linear: 32, linear: 48]\n"
                             "losses: {decoder_gradient: {draws: 2, weight: 0.1}}",
    "prefixes of the code": "data: digits\nencoder: [linear: 8]\nlatent: {type: continuous, dim: 4}\ndecoder: [linear: 32, linear: 48]\n"
                            "losses: {nested: {units: [1, 2, 3], weight: 0.3}}",
    "led draws": "data: digits\nencoder: [linear: 8]\nlatent: {type: gaussian, dim: 4, posterior: {type: hamiltonian, steps: 2}}\n"
                 "decoder: [linear: 32, linear: 48]\nlosses: {reconstruction: bernoulli}"}


@pytest.mark.parametrize("name", MODELS)
def test_activations_are_what_autograd_saves(name):
    loaded = load("s.yaml", text=MODELS[name] + REST)
    plan = loaded.require()
    model, batch, sizes = build(plan), samples(loaded.info, plan, 64), {}
    known = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers(), batch.x, batch.target)}

    def keep(tensor):
        sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        kept = model.terms(batch)
    measured = sum(size for place, size in sizes.items() if place not in known)
    assert kept
    assert 0.75 < (memory_of(plan).activations - 64 * FLOAT * elements(plan.target)) / measured < 1.33


def test_short_scores_are_those_that_attention_keeps():
    assert SCORES == transformer.PLAIN_UP_TO ** 2
