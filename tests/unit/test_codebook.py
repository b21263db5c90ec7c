"""The codebook: exact search, Lloyd's law, Lloyd-Max, straight-through, restarts, k-means, priors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from torch import Tensor, nn

from aebuild.modules.codebook import CodebookLatent
from aebuild.modules.codebook_updates import Ema, Restart, kmeans, tally
from aebuild.modules.discrete import usage_of
from aebuild.modules.nearest_code import CPU_BLOCK, nearest
from aebuild.modules.priors import EmpiricalIndices


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def digits() -> Tensor:
    return torch.from_numpy(load_digits().data / 16).float()


def book(codes: int, features: int, groups: int = 1, **options: Any) -> CodebookLatent:
    """A codebook on vectors without a projection to learn."""
    return CodebookLatent({"projection": nn.Identity()}, (features,), 1, codes, groups, **options)


def test_the_search_agrees_with_the_naive_one() -> None:
    for vectors, features, codes in ((50, 3, 7), (100, 8, 512), (600, 4, 1000), (5, 4, 2), (1, 2, 600), (40, 1, 9), (3, 1, 1)):
        x = torch.randn(3, vectors, features, generator=generator())
        entries = torch.randn(3, codes, features, generator=generator(1))
        naive = (x.double().unsqueeze(2) - entries.double().unsqueeze(1)).square().sum(3).argmin(2)
        assert torch.equal(nearest(x, entries), naive)
    assert CPU_BLOCK // 1024 < 600               # more than one block


def test_the_search_is_exact_far_from_the_origin() -> None:
    """A plain x·e − |e|²/2 in float32 is wrong here for most vectors."""
    entries = 1000 + 0.1 * torch.randn(1, 600, 4, generator=generator())
    x = entries[:, :50] + 1e-3
    plain = (x @ entries.mT - entries.square().sum(2).unsqueeze(1) / 2).argmax(2)
    naive = (x.double().unsqueeze(2) - entries.double().unsqueeze(1)).square().sum(3).argmin(2)
    assert (plain != naive).float().mean() > 0.2
    assert (nearest(x, entries) != naive).float().mean() < 0.05


def test_autocast_does_not_touch_the_search() -> None:
    x, entries = torch.randn(1, 2000, 16, generator=generator()), torch.randn(1, 512, 16, generator=generator(1))
    exact = nearest(x, entries)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(nearest(x, entries), exact)


def test_an_entry_is_nearest_to_itself() -> None:
    entries = torch.randn(1, 512, 8, generator=generator())
    assert torch.equal(nearest(entries, entries)[0], torch.arange(512))


def test_of_equally_near_entries_the_first_is_taken() -> None:
    entries = torch.tensor([[3.0, 0.0], [1.0, 2.0], [1.0, -2.0], [1.0, 2.0]])
    assert nearest(torch.tensor([[[1.0, 0.0], [1.0, 1.0], [2.0, 1.0]]]), entries.unsqueeze(0)).tolist() == [[0, 1, 0]]
    assert nearest(torch.zeros(1, 1, 1), torch.tensor([[[1.0], [-1.0], [1.0]]])).item() == 1


def test_one_ema_step_without_memory_is_one_of_lloyds() -> None:
    x = digits()
    ema = Ema(1, 10, 64, decay=0.0, epsilon=1e-5)
    latent = book(10, 64, ema=ema).train()
    latent.codebook.copy_(x[:10])
    distances = [latent(x).terms["commitment"].mean().item() for _ in range(6)]
    for step, expected in ((0, 4.826577), (1, 2.930737), (2, 2.783859), (5, 2.666750)):
        assert distances[step] == pytest.approx(expected, abs=2e-6)


def test_ema_follows_its_definition() -> None:
    """Against a plain loop over vectors, with unused entries left alone."""
    decay, epsilon, codes = 0.9, 0.1, 5
    x = torch.randn(3, 40, 2, generator=generator())
    entries = torch.randn(codes, 2, generator=generator(1))
    entries[4] = 100.0
    ema = Ema(1, codes, 2, decay, epsilon)
    latent = book(codes, 2, ema=ema).train()
    latent.codebook.copy_(entries)
    counts, sums, expected = np.zeros(codes), np.zeros((codes, 2)), entries.double().numpy()
    for batch in x:
        n, s = np.zeros(codes), np.zeros((codes, 2))
        for v in batch.double().numpy():
            k = int(((expected - v) ** 2).sum(1).argmin())
            n[k] += 1
            s[k] += v
        counts, sums = decay * counts + (1 - decay) * n, decay * sums + (1 - decay) * s
        smooth = (counts + epsilon) / (counts.sum() + codes * epsilon) * counts.sum()
        expected = np.where(counts[:, None] > 0, sums / smooth[:, None], expected)
        latent(batch)
        torch.testing.assert_close(latent.codebook.double(), torch.from_numpy(expected), atol=1e-5, rtol=1e-5)
    assert latent.codebook[4].tolist() == [100.0, 100.0]
    before = latent.codebook.clone()
    latent.eval()(x[0])
    assert torch.equal(latent.codebook, before)


@pytest.mark.parametrize(("codes", "expected"), [(2, 0.363380), (4, 0.117482), (8, 0.034548), (16, 0.009501)])
def test_a_scalar_codebook_is_the_lloyd_max_quantiser(codes: int, expected: float) -> None:
    share = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    x = (math.sqrt(2) * torch.erfinv(2 * share - 1)).float().unsqueeze(1)         # quantiles of N(0, 1)
    latent = book(codes, 1, ema=Ema(1, codes, 1, 0.0, 1e-5), initialise=True).train()
    for _ in range(12 * codes):
        latent(x)
    assert latent.eval()(x).terms["commitment"].mean().item() == pytest.approx(expected, rel=3e-3)


def test_a_gradient_codebook_finds_the_lloyd_max_quantiser() -> None:
    latent = book(4, 1).train()
    with torch.no_grad():
        latent.codebook.copy_(torch.tensor([[-2.0], [-0.3], [0.3], [2.0]]))
    optimizer = torch.optim.SGD(latent.parameters(), lr=0.5)
    g = generator()
    for _ in range(150):
        optimizer.zero_grad()
        latent(torch.randn(2000, 1, generator=g)).terms["codebook"].mean().backward()
        optimizer.step()
    x = torch.randn(200_000, 1, generator=g)
    assert latent.eval()(x).terms["commitment"].mean().item() == pytest.approx(0.117482, rel=0.01)
    assert latent.codebook.flatten().sort().values.tolist() == pytest.approx([-1.510, -0.4528, 0.4528, 1.510], abs=0.03)


@pytest.mark.parametrize("options", [{}, {"ema": Ema(2, 8, 3, 0.99, 1e-5)}], ids=["gradient", "ema"])
def test_the_gradient_passes_straight_through(options: Any) -> None:
    latent = book(8, 6, groups=2, **options).eval()
    z = torch.randn(5, 6, generator=generator(), requires_grad=True)
    code = latent(z)
    code.value.retain_grad()
    loss = (code.value.sin() * torch.randn(5, 6, generator=generator(1))).sum()
    loss.backward(retain_graph=True)
    assert z.grad is not None
    assert torch.equal(z.grad, code.value.grad)
    assert latent.codebook.grad is None
    assert torch.equal(code.value, latent.lookup(code.indices))


def test_who_pulls_whom() -> None:
    latent = book(8, 6, groups=2)
    z = torch.randn(5, 6, generator=generator(), requires_grad=True)
    terms = latent(z).terms
    pull = 2 * (z - latent.lookup(latent(z).indices)).detach()
    (on_z,) = torch.autograd.grad(terms["commitment"].sum(), z, retain_graph=True)
    torch.testing.assert_close(on_z, pull)
    terms["codebook"].sum().backward()
    assert z.grad is None
    expected = torch.zeros(2, 8, 3)
    for sample, indices in zip(pull, latent(z).indices, strict=True):
        for group, index in enumerate(indices):
            expected[group, index] -= sample[3 * group:3 * group + 3]
    torch.testing.assert_close(latent.codebook.grad, expected)
    torch.testing.assert_close(terms["codebook"], terms["commitment"])
    torch.testing.assert_close(terms["codebook"], pull.square().sum(1) / 4)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(("shape", "axis"), [((6,), 1), ((6, 2, 3), 1), ((4, 6), -1)], ids=["vector", "grid", "sequence"])
def test_every_place_and_group_gets_its_nearest_entry(shape: tuple[int, ...], axis: int, shared: bool) -> None:
    latent = CodebookLatent({}, shape, axis, 7, 3, shared=shared)
    z = torch.randn(4, *shape, generator=generator())
    code = latent(z)
    books = latent.codebook.detach().expand(3, 7, 2)
    at_places = z.movedim(axis, -1).reshape(4, -1, 3, 2)                          # (N, P, G, d)
    distance = (at_places.unsqueeze(3) - books).square().sum(-1)                  # (N, P, G, K)
    assert torch.equal(code.indices, distance.argmin(-1).flatten(1))
    wanted = torch.stack([books[g][distance.argmin(-1)[:, :, g]] for g in range(3)], 2)
    torch.testing.assert_close(code.value, wanted.flatten(2).reshape(4, *z.movedim(axis, -1).shape[1:]).movedim(-1, axis))
    torch.testing.assert_close(code.terms["commitment"], distance.min(-1).values.flatten(1).sum(1))
    assert torch.equal(latent(z[:1]).indices, code.indices[:1])                   # a sample alone has other strides


def test_twenty_scalar_codebooks_have_as_many_parameters() -> None:
    assert sum(p.numel() for p in book(512, 20, groups=20).parameters()) == 10_240


def test_perplexity_and_usage() -> None:
    metrics = usage_of(torch.tensor([[2.0, 1.0, 1.0, 0.0]]))
    assert metrics["perplexity"].item() == pytest.approx(2.828427, abs=1e-6)
    assert metrics["usage"].item() == 0.75
    assert usage_of(torch.tensor([[5.0, 0.0], [3.0, 3.0]]))["perplexity"].item() == pytest.approx(1.5)
    assert tally(torch.tensor([[0, 2, 2], [1, 1, 1]]), 3).tolist() == [[1, 0, 2], [0, 3, 0]]


def test_kmeans_is_about_as_good_as_sklearns() -> None:
    x = digits()
    centres = kmeans(x.unsqueeze(0), 10, generator())
    ours = (x - centres[0][nearest(x.unsqueeze(0), centres)[0]]).square().sum(1).mean().item()
    theirs = KMeans(10, n_init=3, random_state=0).fit(x.numpy()).inertia_ / len(x)
    assert ours < 1.05 * theirs


def test_kmeans_with_fewer_vectors_than_codes() -> None:
    x = torch.randn(2, 5, 3, generator=generator())
    centres = kmeans(x, 8, generator())
    assert centres.shape == (2, 8, 3)
    assert (torch.cdist(x, centres).min(2).values < 0.2).all()
    assert len(torch.unique(centres[0], dim=0)) == 8


def test_the_first_training_batch_places_the_codebook_once() -> None:
    x = 50 + torch.randn(256, 4, generator=generator())
    latent = book(16, 4, initialise=True)
    latent.eval()(x)
    assert not latent.initialised
    latent.train()(x)
    assert latent.initialised
    assert (latent.codebook.mean() - 50).abs() < 1
    placed = latent.codebook.clone()
    latent(x + 10)
    assert torch.equal(latent.codebook, placed)
    again = book(16, 4, initialise=True).train()
    again.load_state_dict(latent.state_dict())
    again(x + 10)
    assert torch.equal(again.codebook, placed)
    again.reset_parameters()
    again(x + 10)
    assert (again.codebook.mean() - 60).abs() < 1


@pytest.mark.parametrize("update", ["gradient", "ema"])
def test_dead_entries_start_again(update: str) -> None:
    ema = Ema(1, 8, 2, 0.9, 1e-5) if update == "ema" else None
    latent = book(8, 2, ema=ema, restart=Restart(1, 8, below=1.0, decay=0.9)).train()
    with torch.no_grad():
        latent.codebook.copy_(1000 + latent.codebook)
        latent.codebook[0] = 0.0
    x = torch.randn(200, 2, generator=generator())
    assert latent(x).metrics["usage"] == 1 / 8
    assert latent.codebook.abs().max() < 10                   # the seven others stand on vectors of the batch
    fresh = latent.codebook[1:].clone()
    assert all((x == entry).all(1).any() for entry in fresh)
    for _ in range(3):
        usage = latent(x).metrics["usage"]
    assert usage == 1


def test_restarts_leave_used_entries_and_give_time() -> None:
    restart = Restart(1, 2, below=1.0, decay=0.5)
    entries = torch.tensor([[[0.0], [9.0]]])
    x = torch.ones(1, 8, 1)
    dead = restart(entries, x, torch.tensor([[8.0, 0.0]]))
    assert dead.tolist() == [[False, True]]
    assert entries.flatten().tolist() == [0.0, 1.0]
    results = [restart(entries, x, torch.tensor([[8.0, 0.0]]))[0, 1].item() for _ in range(4)]
    assert results == [False, True, False, True]              # counted as 4 vectors a step, then forgotten by halves


def test_restart_and_kmeans_depend_on_their_own_seed_alone() -> None:
    def trained(seed: int) -> Tensor:
        torch.manual_seed(0)
        latent = book(8, 2, restart=Restart(1, 8, 1.0, 0.9), initialise=True).train()
        latent.reseed(seed)
        latent(torch.randn(30, 2, generator=generator()))
        return latent.codebook.detach()

    assert torch.equal(trained(1), trained(1))
    assert not torch.equal(trained(1), trained(2))


def test_uniform_draws_use_every_entry_alike() -> None:
    latent = book(4, 4, groups=2)
    indices = latent(latent.draw(40_000)).indices
    shares = tally(indices.t().contiguous(), 4) / 40_000
    torch.testing.assert_close(shares, torch.full((2, 4), 0.25), atol=0.02, rtol=0)


def test_an_empirical_prior_draws_as_the_data_do() -> None:
    latent = book(4, 4, groups=2, prior=EmpiricalIndices(2, 4))
    wanted = torch.tensor([[0.0, 0.5, 0.5, 0.0], [0.1, 0.2, 0.0, 0.7]])
    chosen = torch.stack([torch.multinomial(row, 20_000, replacement=True, generator=generator()) for row in wanted], 1)
    latent.prior.fit(chosen.split(3000))
    torch.testing.assert_close(latent.prior.frequencies, wanted, atol=0.02, rtol=0)
    drawn = tally(latent(latent.draw(40_000)).indices.t().contiguous(), 4) / 40_000
    torch.testing.assert_close(drawn, wanted, atol=0.02, rtol=0)
    assert (drawn[wanted == 0] == 0).all()


def test_entries_that_the_encoder_left_behind_come_back() -> None:
    """More entries than a batch has vectors, which move away from where k-means put them: most die unless they start again."""
    used = {}
    for restart in (None, Restart(1, 128, None, 0.9)):
        latent = book(128, 4, restart=restart, initialise=True).train()
        latent(torch.randn(64, 4, generator=generator()))
        for step in range(60):
            latent(5 + torch.randn(64, 4, generator=generator(step)))
        used[restart is None] = latent.eval()(5 + torch.randn(4000, 4, generator=generator(99))).metrics["usage"].item()
    assert used[True] < 0.5
    assert used[False] > 0.9


def test_an_entry_restarts_below_a_tenth_of_its_fair_part() -> None:
    restart, x = Restart(1, 4, None, 0.5), torch.ones(1, 40, 1)
    dead = restart(torch.zeros(1, 4, 1), x, torch.tensor([[37.0, 1.1, 0.9, 1.0]]))
    assert dead.tolist() == [[False, False, True, False]]
    assert restart.usage[0, 2].item() == 0.5 * 10                # as if it had won its fair part
