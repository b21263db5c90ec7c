"""Entries that are drawn: their chances, their terms, their gradients, and what evaluation makes of them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from aebuild.modules.gumbel_codebook import GumbelLatent

pytestmark = pytest.mark.usefixtures("double_precision")


def made(groups: int = 1, shared: bool = False, levels: int = 2, **options: Any) -> GumbelLatent:
    options = {"temperature": 0.7, "decay": 0.5, **options}
    return GumbelLatent({}, (4,), 1, 5, groups, shared=shared, levels=levels, **options)


def books(latent: GumbelLatent, level: int, group: int) -> torch.Tensor:
    stored = latent._stored(latent.codebook)
    return stored[level * latent.heads + (0 if latent.heads == 1 else group)]


@pytest.mark.parametrize(("groups", "shared"), [(1, False), (2, False), (2, True)])
@pytest.mark.parametrize("training", [False, True])
def test_levels_are_drawn_one_after_the_other(groups: int, shared: bool, training: bool) -> None:
    """Hosking et al. (2022), sample by sample, group by group, level by level, with the same noise."""
    latent, z = made(groups, shared).train(training), torch.randn(3, 4)
    latent.reseed(1)
    value, indices, terms = latent.quantize(z)
    latent.reseed(1)
    noise = latent._gumbel(z)
    width = 4 // groups
    for n in range(3):
        nats, picked = 0.0, []
        for group in range(groups):
            left = z[n, group * width:(group + 1) * width]
            total = torch.zeros(width)
            for level in range(2):
                book = books(latent, level, group)
                score = -((left - book) ** 2).sum(1)
                chance = score.softmax(0)
                nats += (chance * (chance * 5).log()).sum().item()
                head, row = (group, n) if latent.heads > 1 else (0, n * groups + group)
                lifted = score + noise[level, head, row] if training else score
                assert int(indices[n, level * groups + group]) == int(lifted.argmax())
                part = (lifted / 0.7).softmax(0) @ book if training else book[lifted.argmax()]
                left, total = left - part, total + part
            picked.append(total)
        torch.testing.assert_close(value[n], torch.cat(picked))
        assert terms["choice_kl"][n].item() == pytest.approx(nats)
    if not training:
        torch.testing.assert_close(latent.lookup(indices), value)


def test_draws_are_as_frequent_as_their_chances() -> None:
    latent = made(levels=1).train()
    z = torch.randn(1, 4)
    _, indices, _ = latent.quantize(z.expand(20_000, 4))
    wanted = (-((z - books(latent, 0, 0)) ** 2).sum(1)).softmax(0)
    torch.testing.assert_close(indices.flatten().bincount(minlength=5) / 20_000, wanted.detach(), atol=0.012, rtol=0)


def test_encoder_and_entries_learn_from_the_draw_and_the_divergence_from_none() -> None:
    latent, z = made().train(), torch.randn(6, 4, requires_grad=True)
    value, _, terms = latent.quantize(z)
    for wanted in (value.square().sum(), terms["choice_kl"].sum()):
        for found in torch.autograd.grad(wanted, (z, latent.codebook), retain_graph=True):
            assert found.abs().sum() > 0
    with torch.no_grad():
        latent.codebook.zero_()
    assert latent.quantize(z)[2]["choice_kl"].abs().max().item() == pytest.approx(0, abs=1e-12)            # all alike
    with torch.no_grad():
        latent.codebook.copy_(100 * torch.randn_like(latent.codebook))
    torch.testing.assert_close(latent.quantize(z)[2]["choice_kl"], torch.full((6,), 2 * math.log(5)))       # certain


def test_entries_begin_smaller_from_level_to_level_and_dropout_keeps_the_first() -> None:
    latent = GumbelLatent({}, (4,), 1, 3000, levels=3, temperature=1.0, decay=0.3)
    torch.testing.assert_close(latent.codebook.std((1, 2)), torch.tensor([1.0, 0.3, 0.09]), rtol=0.03, atol=0)
    latent, z = made(dropout=1.0, temperature=1e-3).train(), torch.randn(200, 4)
    value, indices, _ = latent.quantize(z)
    first = books(latent, 0, 0)[indices[:, 0]]
    alone = ((value - first).abs().sum(1) < 1e-6).double().mean()
    assert 0.3 < float(alone) < 0.7
