"""What the terms of a built model's loss count, and whom they pull."""

from __future__ import annotations

import pytest
import torch
from models import Turn, fine, samples, turns
from torch import Tensor

from aebuild.compile.build import build

DISCRETE = """
data: wine
encoder: [linear: 6]
latent: {{type: codebook, codes: 5, dim: 4, groups: 2, init: normal}}
losses: {{reconstruction: mse, commitment: {commitment}, codebook: {codebook}}}
train: {{device: cpu}}
"""

VARIATIONAL = """
data: wine
encoder: [linear: 6]
latent: {{type: gaussian, dim: 4}}
losses: {{reconstruction: mse, kl: {{weight: {weight}, free_bits: {free_bits}}}}}
train: {{device: cpu}}
"""


def turn_of(text: str, **numbers: float) -> Turn:
    """The one player's gradient from a fixed batch of the model that the spec describes."""
    loaded = fine(text.format(**numbers))
    assert loaded.plan is not None and loaded.info is not None
    (turn,) = turns(loaded.plan, build(loaded.plan), samples(loaded.info, loaded.plan, 40))
    return turn


def split(turn: Turn) -> tuple[Tensor, list[Tensor]]:
    """The gradient of the codebook, and those of what makes the codes."""
    found = {name: gradient for name, gradient in turn.gradients.items() if gradient is not None}
    return found["latent.codebook"], [found[name] for name in found if name.startswith(("encoder", "latent.projection"))]


def test_the_commitment_pulls_the_encoder_alone() -> None:
    book, encoder = split(turn_of(DISCRETE, commitment=0.25, codebook=1))
    same_book, other_encoder = split(turn_of(DISCRETE, commitment=3, codebook=1))
    assert book.any()
    torch.testing.assert_close(same_book, book)
    for one, other in zip(encoder, other_encoder, strict=True):
        assert not torch.allclose(one, other)


def test_the_codebook_term_pulls_the_codebook_alone() -> None:
    book, encoder = split(turn_of(DISCRETE, commitment=0.25, codebook=1))
    other_book, same_encoder = split(turn_of(DISCRETE, commitment=0.25, codebook=3))
    torch.testing.assert_close(other_book, 3 * book)                # and nothing else reaches it
    assert len(encoder) == 4
    torch.testing.assert_close(same_encoder, encoder)


def test_free_bits_count_on_the_batch_mean_of_each_value() -> None:
    plain = turn_of(VARIATIONAL, weight=1, free_bits=0)
    raw = plain.terms["kl"]
    means = raw.mean(0)
    floor = means.sort().values[1:3].mean().item()                  # two values of the code lie above it, two below
    held = turn_of(VARIATIONAL, weight=1, free_bits=floor)
    assert ((raw < floor) & (means > floor)).any()                  # where a floor of single samples would count more
    assert ((raw > floor) & (means < floor)).any()
    expected = sum(max(mean, floor) - mean for mean in means.tolist())
    assert (held.loss - plain.loss).item() == pytest.approx(expected, rel=1e-4)


def test_a_kl_below_its_free_bits_pulls_nothing() -> None:
    light, heavy = (turn_of(VARIATIONAL, weight=weight, free_bits=1000) for weight in (1, 5))
    assert (heavy.loss - light.loss).item() == pytest.approx(4 * 4 * 1000, rel=1e-4)
    torch.testing.assert_close(heavy.gradients, light.gradients)
