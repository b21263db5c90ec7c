"""Warnings about the design: each just on the one side of its boundary, and just on the other."""

from __future__ import annotations

import pytest

from aebuild.compile.front import load

FRAME = {"data": "data: digits", "encoder": "encoder: {layer: linear, width: 48}", "latent": "latent: {type: continuous, dim: 8}"}
GAUSSIAN = "latent: {type: gaussian, dim: 8}\n"
MEAN = "data: {type: digits, size: [%d, %d]}\nencoder: {steps: [conv: {width: 16, kernel: 3}, conv: {width: 8, kernel: 3}], adapter: mean}\n"
SKIPS = "encoder: {layer: conv, width: [8, 16], stride: 2}\ndecoder: {layer: conv, width: [16, 8], skip: true}\n"
CASES = [
    ("AE255", "encoder: {layer: linear, width: 32, depth: %d, activation: sigmoid}\n", 4, 3),
    ("AE256", "encoder: {layer: linear, width: 32, norm: batch}\ntrain: {batch_size: %d}\n", 4, 5),
    ("AE257", MEAN, (21, 21), (20, 21)),                       # two kernels of 3 see 5 places
    ("AE258", "decoder: [conv: {width: 16, kernel: %d, stride: 4}]\n", 7, 8),
    ("AE259", "decoder: {layer: linear, width: 16, depth: %d}\n", 15, 14),          # and the output layer
    ("AE260", SKIPS + "latent: {type: %s, dim: 8}\n", "gaussian", "continuous"),
    ("AE261", GAUSSIAN + "losses: {reconstruction: {type: mse, reduction: mean}, kl: {weight: %g}}\n", 1.6, 1.5),       # of 64 elements
    ("AE261", GAUSSIAN + "losses: {reconstruction: mse, kl: {reduction: mean, weight: %g}}\n", 0.0079, 0.0081),         # 8 / 1000
    ("AE262", "data: {type: digits, limit: 30}\nencoder: [linear: %d, linear: 200]\nlatent: {type: continuous, dim: 8}\n", 400, 150),
    ("AE263", "encoder: [linear: 32, linear: %d]\n", 7, 9),
    ("AE256", "losses: {critic: {type: gan, network: [linear: {width: 8, norm: batch}]}}\ntrain: {batch_size: %d}\n", 4, 5),
    ("AE258", "encoder: {layer: conv, width: [8, 16], stride: 2}\ndecoder: [conv: {width: 8}, conv: {width: 8%s}]\n", ", kernel: 5", ""),
    ("AE264", "data: {type: digits, limit: 100}\ntrain: {epochs: %d, batch_size: 10}\n", 1, 2),           # 10 steps an epoch, of 1e-3
    ("AE264", "data: {type: digits, limit: 100}\ntrain: {%s: 10, batch_size: 100}\n", "epochs", "steps"),
    ("AE265", GAUSSIAN + "losses: {reconstruction: {type: gaussian, variance: %g}}\n", 0.26, 0.25),       # of values between 0 and 1
    ("AE265", "latent: {type: %s, dim: 8}\nlosses: {reconstruction: gaussian}\n", "gaussian", "continuous"),
    ("AE266", "losses: {decorrelation: 1}\ntrain: {batch_size: %d}\n", 1, 2)]


@pytest.mark.parametrize(("code", "spec", "bad", "good"), CASES, ids=lambda value: value if isinstance(value, str) and len(value) == 5 else "")
def test_a_warning_begins_at_its_boundary(code, spec, bad, good):
    for value, expected in ((bad, 1), (good, 0)):
        text = spec % value
        text += "".join(f"{line}\n" for key, line in FRAME.items() if not any(row.startswith(f"{key}:") for row in text.split("\n")))
        loaded = load("s.yaml", text=text)
        assert loaded.errors == []
        assert [each.code for each in loaded.diagnostics].count(code) == expected, (text, loaded.diagnostics)
        silenced = load("s.yaml", text=f"{text}allow: {{{code}: on purpose}}\n") if expected else loaded
        assert code not in {each.code for each in silenced.diagnostics}
