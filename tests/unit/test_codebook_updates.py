"""How entries follow their vectors: what is forgotten, what is counted, where k-means ends."""

from __future__ import annotations

import torch
from latent_site import latent_of

from aebuild.lang.values import Grid
from aebuild.modules.codebook_updates import Ema, Restart, kmeans
from aebuild.modules.nearest_code import nearest
from aebuild.parts.latents.codebook import Codebook
from aebuild.parts.latents.codebook import Restart as RestartPart


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_statistics_begin_at_zero_and_return_there() -> None:
    ema, restart = Ema(1, 2, 3, 0.9, 1e-5), Restart(1, 2, 1.0, 0.9)
    for _ in range(2):
        assert not any(buffer.any() for module in (ema, restart) for buffer in module.buffers())
        entries, x, found = torch.zeros(1, 2, 3), torch.ones(1, 4, 3), torch.tensor([[0, 0, 1, 1]])
        ema(entries, x, found, torch.tensor([[2.0, 2.0]]))
        restart(entries, x, torch.tensor([[2.0, 2.0]]))
        assert all(buffer.all() for module in (ema, restart) for buffer in module.buffers())
        ema.reset()
        restart.reset()


def test_a_forgotten_entry_begins_with_its_next_vectors() -> None:
    ema, entries = Ema(1, 2, 1, 0.9, 1e-6), torch.zeros(1, 2, 1)
    everything = torch.tensor([[0, 1]])
    ema(entries, torch.tensor([[[100.0], [100.0]]]), everything, torch.ones(1, 2))
    ema.forget(torch.tensor([[True, False]]))
    ema(entries, torch.tensor([[[1.0], [1.0]]]), everything, torch.ones(1, 2))
    torch.testing.assert_close(entries[0, 0], torch.tensor([1.0]), atol=1e-3, rtol=0)
    torch.testing.assert_close(entries[0, 1], torch.tensor([(0.9 * 10 + 0.1) / 0.19]), atol=1e-2, rtol=0)


def test_where_kmeans_ends_each_centre_is_the_mean_of_its_vectors() -> None:
    """Few vectors and nearly as many codes: it settles within its ten steps, and many clusters have one vector."""
    for seed in range(20):
        x = torch.randn(2, 12, 2, generator=generator(seed))
        centres = kmeans(x, 8, generator(seed))
        found = nearest(x, centres)
        for book in range(2):
            for code in found[book].unique():
                torch.testing.assert_close(centres[book, code], x[book, found[book] == code].mean(0))


def test_dead_entries_of_every_group_stand_on_vectors_of_their_own_group() -> None:
    latent = latent_of(Codebook(dim=4, codes=3, groups=2, init="normal", restart=RestartPart(below=0.01)), Grid(4, (2, 3))).train()
    with torch.no_grad():
        latent.codebook.add_(1000)
        latent.codebook[:, 0] = 0.0
    h = torch.randn(2, 4, 2, 3, generator=generator())
    z = latent.project(h).detach().movedim(1, -1).reshape(-1, 2, 2)                   # (places, groups, features)
    latent(h)
    for group in range(2):
        for entry in latent.codebook.detach()[group, 1:]:
            assert (z[:, group] == entry).all(1).any()
