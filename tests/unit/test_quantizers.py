"""The quantizers beside plain VQ: equations of their papers, and what an independent library gives for the same weights."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from latent_site import latent_of, planned_state, site
from torch import Tensor, nn

from aebuild.lang.values import Grid, Vector
from aebuild.modules.binary_codes import BinaryLatent, entropies, joint
from aebuild.modules.codebook import CodebookLatent
from aebuild.modules.codebook_updates import Ema, Restart
from aebuild.modules.discrete import rotated
from aebuild.modules.fixed_codebook import RandomProjectionLatent, SimVqLatent
from aebuild.modules.residual_codebook import ResidualLatent
from aebuild.modules.scalar_codes import FsqLatent
from aebuild.parts.latents.codebook import Codebook
from aebuild.parts.quantizers.bsq import Bsq
from aebuild.parts.quantizers.fsq import Fsq
from aebuild.parts.quantizers.lfq import Lfq
from aebuild.parts.quantizers.random_projection import RandomProjection
from aebuild.parts.quantizers.residual import Residual
from aebuild.parts.quantizers.simvq import Simvq
from aebuild.parts.quantizers.vq import Vq

STEPS = {"projection": nn.Identity()}


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def naive_nearest(x: Tensor, entries: Tensor) -> Tensor:
    return torch.cdist(x.double(), entries.double()).argmin(-1)


# ------------------------------------------------------------------------------------------------------- what all have to hold


EVERY = [
    Codebook(dim=6, codes=8, groups=2, quantizer=Vq(distance="cosine", estimator="rotation", orthogonal=True)),
    Codebook(dim=6, codes=8, groups=2, quantizer=Vq(project=4)),
    Codebook(dim=6, codes=8, groups=2, quantizer=Residual(levels=3, project=4)),
    Codebook(dim=6, codes=8, groups=2, shared=True, quantizer=Residual(levels=3, estimator="rotation")),
    Codebook(dim=6, codes=8, groups=2, quantizer=Simvq(estimator="rotation")),
    Codebook(dim=6, codes=8, groups=2, shared=True, quantizer=Simvq()),
    Codebook(dim=6, codes=8, groups=2, quantizer=RandomProjection(width=5)),
    Codebook(groups=2, quantizer=Fsq(levels=[5, 4, 3])),
    Codebook(dim=6, groups=2, quantizer=Lfq()),
    Codebook(dim=6, groups=2, quantizer=Bsq()),
]


@pytest.mark.parametrize("value", [Vector(7), Grid(7, (2, 3))], ids=["vector", "grid"])
@pytest.mark.parametrize("part", EVERY, ids=lambda part: "-".join(str(getattr(part.quantizer, name)) for name in type(part.quantizer).model_fields))
def test_indices_stand_for_the_code_to_the_last_bit(part: Codebook, value: Any) -> None:
    plan = part.plan_latent(value, site())
    torch.manual_seed(0)
    latent: Any = latent_of(part, value)
    assert {name: tuple(tensor.shape) for name, tensor in latent.state_dict().items()} == planned_state(plan.node)
    h = normal(5, *value.shape)
    code = latent.train()(h)
    assert set(code.terms) == {term.name for term in plan.terms}
    assert all(raw.ndim == 0 or len(raw) == 5 for raw in code.terms.values())
    code = latent.eval()(h)
    assert code.indices.shape == (5, plan.codes.length)
    assert code.indices.max() < plan.codes.classes
    assert torch.equal(latent.lookup(code.indices), code.value)
    assert code.value.shape == (5, *plan.code.shape)
    assert torch.equal(latent(h[2:3]).indices, code.indices[2:3])
    assert latent.by_book(code.indices).shape == (latent.books, code.indices.numel() // latent.books)
    assert latent.draw(3).shape == (3, *plan.code.shape)
    assert plan.bits == pytest.approx(plan.codes.length * math.log2(plan.codes.classes))


def test_who_learns() -> None:
    """Gradients reach what the papers train, and nothing else."""
    reached = {}
    for part in EVERY:
        latent: Any = latent_of(part, Grid(7, (2, 3))).train()
        code = latent(normal(5, 7, 2, 3))
        (code.value.square().sum() + sum(raw.sum() for raw in code.terms.values())).backward()
        reached.setdefault(part.quantizer.variant_name(), set()).update(
            name for name, parameter in latent.named_parameters() if parameter.grad is not None and parameter.grad.any())
    projection = {"projection.weight", "projection.bias"}
    assert reached == {"vq": projection | {"codebook", "expand.weight", "expand.bias"}, "residual": projection | {"codebook", "expand.weight", "expand.bias"},
                       "simvq": projection | {"transform"}, "random_projection": projection, "fsq": projection, "lfq": projection, "bsq": projection}


# ------------------------------------------------------------------------------------------------------------------ vq's options


def test_cosine_finds_the_smallest_angle() -> None:
    latent = CodebookLatent(STEPS, (6,), 1, 9, 2, cosine=True)
    with torch.no_grad():
        latent.codebook.mul_(torch.rand(2, 9, 1) * 10)
    z = 5 * normal(20, 6)
    code = latent(z)
    for group in range(2):
        part, entries = z[:, 3 * group:3 * group + 3], latent.codebook.detach()[group]
        angles = nn.functional.cosine_similarity(part.unsqueeze(1), entries.unsqueeze(0), dim=-1)
        assert torch.equal(code.indices[:, group], angles.argmax(1))
        torch.testing.assert_close(code.value[:, 3 * group:3 * group + 3].norm(dim=1), torch.ones(20))
    torch.testing.assert_close(code.terms["commitment"], sum(
        2 - 2 * nn.functional.cosine_similarity(z[:, 3 * g:3 * g + 3], code.value[:, 3 * g:3 * g + 3], dim=1) for g in range(2)))


def test_cosine_entries_that_are_averages_or_restart_stay_directions() -> None:
    latent = CodebookLatent(STEPS, (3,), 1, 6, cosine=True, ema=Ema(1, 6, 3, 0.5, 1e-5), restart=Restart(1, 6, 1.0, 0.5), initialise=True).train()
    for step in range(4):
        value = latent(3 + normal(40, 3, seed=step)).value
        torch.testing.assert_close(value.norm(dim=1), torch.ones(40))


def test_the_rotation_turns_vectors_onto_their_entries() -> None:
    """Against the paper's matrix: R = 1 − 2 w wᵀ + 2 v uᵀ with λ = |q| / |z|, both fixed."""
    z, entries = normal(7, 4).double().requires_grad_(), normal(7, 4, seed=1).double()
    value = rotated(entries, z)
    assert torch.equal(value, entries)
    gradient = normal(7, 4, seed=2).double()
    value.backward(gradient)
    for row in range(7):
        u, v = (each / each.norm() for each in (z[row].detach(), entries[row]))
        w = (u + v) / (u + v).norm()
        matrix = torch.eye(4, dtype=torch.double) - 2 * torch.outer(w, w) + 2 * torch.outer(v, u)
        torch.testing.assert_close(matrix @ matrix.T, torch.eye(4, dtype=torch.double))
        torch.testing.assert_close(matrix @ u, v)
        assert z.grad is not None
        torch.testing.assert_close(z.grad[row], entries[row].norm() / z[row].norm() * matrix.T @ gradient[row])


def test_the_rotation_is_finite_where_it_is_undefined() -> None:
    z = torch.tensor([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]], requires_grad=True)
    rotated(torch.tensor([[-2.0, 0.0], [1.0, 1.0], [0.0, 0.0]]), z).sum().backward()
    assert z.grad is not None
    assert z.grad.isfinite().all()


def test_the_orthogonal_term_is_the_papers() -> None:
    latent = CodebookLatent(STEPS, (8,), 1, 5, 2, orthogonal=True)
    wanted = 0.0
    for entries in latent.codebook.detach().double():
        unit = entries / entries.norm(dim=1, keepdim=True)
        wanted += float((unit @ unit.T - torch.eye(5)).square().sum()) / 25 / 2
    assert latent(normal(3, 8)).terms["orthogonal"].item() == pytest.approx(wanted, rel=1e-5)
    with torch.no_grad():
        latent.codebook.zero_()
        latent.codebook[:, range(4), range(4)] = 3.0
        latent.codebook[:, 4, 0] = 1.0
    assert latent.overlap().item() == pytest.approx(2 / 25)              # one pair in the same direction, twice


def test_entries_of_fewer_features_are_expanded() -> None:
    latent: Any = latent_of(Codebook(dim=5, codes=7, init="normal", quantizer=Vq(project=2)), Vector(3)).eval()
    h = normal(9, 3)
    found = naive_nearest(latent.projection(h), latent.codebook)
    assert torch.equal(latent(h).indices[:, 0], found)
    torch.testing.assert_close(latent(h).value, latent.expand(latent.codebook[found]))


# ------------------------------------------------------------------------------------------------------------------ residual


def test_each_level_codes_what_is_left() -> None:
    latent = ResidualLatent(STEPS, (6, 2), 1, 5, 2, levels=3)
    z = normal(4, 6, 2)
    code = latent(z)
    places = z.transpose(1, 2).reshape(8, 2, 3)
    books, left, pulls = latent.codebook.detach().view(3, 2, 5, 3), places.clone(), 0.0
    for level, group in itertools.product(range(3), range(2)):
        found = naive_nearest(left[:, group], books[level, group])
        assert torch.equal(code.indices.view(8, 3, 2)[:, level, group], found)
        left[:, group] -= books[level, group][found]
        pulls += left[:, group].square().sum(1).view(4, 2).sum(1)
    torch.testing.assert_close(code.value.transpose(1, 2).reshape(8, 2, 3), places - left)
    torch.testing.assert_close(code.terms["commitment"], pulls)
    torch.testing.assert_close(code.terms["codebook"], pulls)


def test_residual_gradients_are_of_their_own_level() -> None:
    latent = ResidualLatent(STEPS, (3,), 1, 4, levels=2)
    z = normal(6, 3).requires_grad_()
    code = latent(z)
    (pull,) = torch.autograd.grad(code.terms["commitment"].sum(), z, retain_graph=True)
    first = latent.codebook.detach()[0][code.indices[:, 0]]
    torch.testing.assert_close(pull, 2 * (z - first) + 2 * (z - code.value).detach())
    code.terms["codebook"].sum().backward()
    assert z.grad is None
    wanted = torch.zeros(2, 4, 3)
    for row, (one, two) in enumerate(code.indices.tolist()):
        wanted[0, one] += 2 * (first - z).detach()[row]
        wanted[1, two] += 2 * (code.value - z).detach()[row]
    torch.testing.assert_close(latent.codebook.grad, wanted)


def test_dropped_levels_count_for_nothing() -> None:
    latent = ResidualLatent(STEPS, (3,), 1, 4, levels=4, dropout=1.0, ema=Ema(4, 4, 3, 0.0, 1e-9)).train()
    z = normal(4000, 3)
    entries = latent.codebook.clone()
    code = latent(z)
    picked = torch.stack([entries[level][code.indices[:, level]] for level in range(4)], 1)
    sums = picked.cumsum(1)
    kept = (sums - code.value.unsqueeze(1)).abs().sum(2).argmin(1)             # the last level that counts
    torch.testing.assert_close(code.value, sums[range(4000), kept])
    shares = torch.bincount(kept, minlength=4) / 4000
    torch.testing.assert_close(shares, torch.full((4,), 0.25), atol=0.03, rtol=0)
    counted = torch.tensor([(kept >= level).sum() for level in range(4)]).float()
    torch.testing.assert_close(latent.update.counts.sum(1), counted)
    left = z[kept >= 1] - sums[kept >= 1][:, 0]
    index = code.indices[kept >= 1, 1]
    for entry in range(4):
        torch.testing.assert_close(latent.codebook[1, entry], left[index == entry].mean(0), rtol=1e-3, atol=1e-4)
    squares = (z.unsqueeze(1) - sums).square().sum(2)
    torch.testing.assert_close(code.terms["commitment"], (squares * (torch.arange(4) <= kept.unsqueeze(1))).sum(1))
    latent.dropout = 0.5
    whole = (latent(z).value - latent.lookup(latent.eval()(z).indices)).abs().sum(1) < 1e-3      # other entries now: only drawn ones differ
    assert whole.float().mean() < 0.9


def test_kmeans_places_each_level_on_what_is_left() -> None:
    latent = ResidualLatent(STEPS, (2,), 1, 8, levels=3, initialise=True).train()
    x = normal(500, 2)
    latent(x)
    errors = [(x - sum(latent.codebook[level][latent(x).indices[:, level]] for level in range(upto))).square().sum(1).mean().item()
              for upto in range(4)]
    assert all(after < 0.5 * before for before, after in itertools.pairwise(errors))


# ------------------------------------------------------------------------------------------------------- simvq, random projection


def test_simvq_entries_are_a_map_of_what_stays() -> None:
    latent = SimVqLatent(STEPS, (6,), 1, 9, 2)
    with torch.no_grad():
        latent.transform.add_(normal(2, 3, 3))
    frozen, z = latent.codebook.clone(), normal(20, 6)
    code = latent.train()(z)
    for group in range(2):
        entries = frozen[group] @ latent.transform[group]
        found = naive_nearest(z[:, 3 * group:3 * group + 3], entries)
        assert torch.equal(code.indices[:, group], found)
        torch.testing.assert_close(code.value[:, 3 * group:3 * group + 3], entries[found])
    code.terms["codebook"].mean().backward()
    before = frozen[0] @ latent.transform[0].detach()
    with torch.no_grad():
        latent.transform.sub_(latent.transform.grad)
    assert torch.equal(latent.codebook, frozen)
    assert ((frozen[0] @ latent.transform[0].detach()) != before).any(1).all()             # every entry moves


def test_a_random_projection_is_the_papers() -> None:
    latent = RandomProjectionLatent(STEPS, (4,), 1, 11, 2, inputs=7)
    z = 3 + 2 * normal(15, 7)
    code = latent.train()(z)
    centred = (z - z.mean(1, keepdim=True)) / (z.var(1, keepdim=True, correction=0) + 1e-5).sqrt()
    for group in range(2):
        projected, entries = centred @ latent.directions[group], latent.codebook[group]
        unit, unit_entries = projected / projected.norm(dim=1, keepdim=True), entries / entries.norm(dim=1, keepdim=True)
        assert torch.equal(code.indices[:, group], naive_nearest(unit, unit_entries))
    assert not list(latent.parameters())


# ------------------------------------------------------------------------------------------------------------------------- fsq


def test_fsq_has_every_combination_of_levels() -> None:
    latent = FsqLatent(STEPS, (4,), 1, [8, 5, 5, 5])
    assert latent.codes == 1000
    every = latent.lookup(torch.arange(1000).unsqueeze(1))
    assert len(torch.unique(every, dim=0)) == 1000
    assert [len(torch.unique(every[:, i])) for i in range(4)] == [8, 5, 5, 5]
    assert every.min() == -1
    assert every.max() == 1
    code = latent(50 * normal(20_000, 4))
    assert {0, 7} <= set((code.indices % 8).flatten().tolist())                # both ends are reached
    assert torch.equal(latent.lookup(code.indices), code.value)


def test_fsq_rounds_the_bounded_number() -> None:
    latent = FsqLatent(STEPS, (2,), 1, [5, 4])
    z = (2 * normal(300, 2)).requires_grad_()
    code = latent(z)
    odd = torch.tanh(z[:, 0]) * 2 * 0.999
    half = 1.5 * 0.999
    even = torch.tanh(z[:, 1] + math.atanh(0.5 / half)) * half - 0.5
    torch.testing.assert_close(code.value, torch.stack([odd.round() / 2, even.round() / 2], 1))
    (got,) = torch.autograd.grad(code.value.sum(), z, retain_graph=True)
    (wanted,) = torch.autograd.grad((odd / 2 + even / 2).sum(), z)
    torch.testing.assert_close(got, wanted)
    assert code.terms == {}


# ------------------------------------------------------------------------------------------------------------------- lfq and bsq


def test_chances_of_all_combinations() -> None:
    chance = torch.tensor([[0.2, 0.7, 0.4]]).double()
    wanted = [math.prod(p if bit else 1 - p for p, bit in zip([0.2, 0.7, 0.4], bits, strict=True)) for bits in itertools.product([0, 1], repeat=3)]
    torch.testing.assert_close(joint(chance)[0], torch.tensor(wanted).double())
    assert joint(chance[:, :0]).tolist() == [[1.0]]


@pytest.mark.parametrize("bits", [1, 2, 5])
@pytest.mark.parametrize("spherical", [False, True])
def test_entropies_are_those_of_a_softmax_over_all_codes(bits: int, spherical: bool) -> None:
    """A naive float64 softmax of −|z − c|² / temperature over 2^d codes, and its gradient."""
    latent = BinaryLatent(STEPS, (2 * bits, 3), 1, 2, temperature=0.7, spherical=spherical).double()
    z = (0.3 * normal(4, 2 * bits, 3).double()).requires_grad_()
    terms = latent(z).terms
    vectors = z.transpose(1, 2).reshape(12, 2, bits)
    vectors = nn.functional.normalize(vectors, dim=-1) if spherical else vectors
    codes = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=bits))).double() * (bits ** -0.5 if spherical else 1)
    chances = (-(vectors.unsqueeze(2) - codes).square().sum(-1) / 0.7).softmax(-1)                    # (12, 2, 2^d)
    own = torch.special.entr(chances).sum(-1)
    lack = (bits * math.log(2) - torch.special.entr(chances.mean(0)).sum(-1)).sum()
    torch.testing.assert_close(terms["sample_entropy"], own.reshape(4, 6))
    torch.testing.assert_close(terms["codebook_entropy"], 3 * lack)
    (got,) = torch.autograd.grad(terms["sample_entropy"].sum() + terms["codebook_entropy"], z)
    (wanted,) = torch.autograd.grad(own.sum() + 3 * lack, z)
    torch.testing.assert_close(got, wanted)


def test_entropies_are_between_their_bounds_and_finite_when_sure() -> None:
    sure = torch.full((8, 1, 4), 1e4)
    sure[:, :, 0] *= torch.tensor([1, -1] * 4).unsqueeze(1)
    sure.requires_grad_()
    found = entropies(sure)
    assert found["sample_entropy"].abs().max() < 1e-6
    assert found["codebook_entropy"].item() == pytest.approx(3 * math.log(2), abs=1e-5)          # one of four bits is used
    found["codebook_entropy"].backward()
    assert sure.grad is not None
    assert sure.grad.isfinite().all()
    even = entropies(torch.zeros(8, 1, 4))
    torch.testing.assert_close(even["sample_entropy"], torch.full((8, 1), 4 * math.log(2)))
    assert even["codebook_entropy"].item() == pytest.approx(0, abs=1e-5)


def test_a_sphere_bounds_the_error() -> None:
    latent = BinaryLatent(STEPS, (8,), 1, spherical=True)
    z = 7 * normal(50, 8)
    code = latent(z)
    unit = z / z.norm(dim=1, keepdim=True)
    assert torch.equal(code.indices[:, 0], naive_nearest(unit, latent.lookup(torch.arange(256).unsqueeze(1))))
    assert (unit - code.value).norm(dim=1).max() < math.sqrt(2 - 2 / math.sqrt(8))
    assert set(code.terms) == {"sample_entropy", "codebook_entropy"}


def test_the_entropy_of_many_bits_makes_no_rows_by_codes() -> None:
    """2^18 codes over 1,024 positions would be 1 GiB of chances."""
    held: list[int] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: (held.append(tensor.numel()), tensor)[1], lambda tensor: tensor):
        entropies(normal(1024, 1, 18).requires_grad_(), 1024)["codebook_entropy"].backward()
    assert max(held) <= 1 << 19
