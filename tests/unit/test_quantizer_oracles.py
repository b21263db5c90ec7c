"""Quantizers beside those of vector-quantize-pytorch, with the same weights and vectors: values, indices, losses, gradients, updates."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from aebuild.modules.binary_codes import BinaryLatent
from aebuild.modules.codebook import CodebookLatent
from aebuild.modules.codebook_updates import Ema
from aebuild.modules.fixed_codebook import RandomProjectionLatent, SimVqLatent
from aebuild.modules.residual_codebook import ResidualLatent
from aebuild.modules.scalar_codes import FsqLatent

theirs = pytest.importorskip("vector_quantize_pytorch")
STEPS = {"projection": nn.Identity()}
N, T, D, K = 3, 10, 6, 16                    # samples, places, features, codes


def sequence() -> Tensor:
    """[N, T, D], as a sequence of vectors."""
    return torch.randn(N, T, D, generator=torch.Generator().manual_seed(0)).requires_grad_()


def gradients(value: Tensor, loss: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """Of a function of the value, and of the loss."""
    (through,) = torch.autograd.grad(value.sin().sum(), x, retain_graph=True)
    return through, torch.autograd.grad(loss.sum(), x, retain_graph=True)[0]


@pytest.mark.parametrize(("cosine", "rotation"), [(False, False), (False, True), (True, False), (True, True)])
def test_vq_with_running_averages(cosine: bool, rotation: bool) -> None:
    """Two training steps: values, indices, commitment, the gradient of the encoder, and the codebook that follows."""
    other = theirs.VectorQuantize(D, K, decay=0.8, use_cosine_sim=cosine, rotation_trick=rotation).train()
    book = other._codebook
    ours = CodebookLatent(STEPS, (T, D), -1, K, ema=Ema(1, K, D, 0.8, 1e-5), cosine=cosine, rotation=rotation).train()
    ours.codebook.copy_(book.embed[0])
    assert ours.update is not None
    ours.update.counts.copy_(book.cluster_size)
    ours.update.sums.copy_(book.embed_avg)
    for _ in range(2):
        x = sequence()
        code, (value, indices, loss) = ours(x), other(x)
        torch.testing.assert_close(code.value, value)
        assert torch.equal(code.indices, indices)
        torch.testing.assert_close(code.terms["commitment"].sum() / x.numel(), loss.squeeze())
        for got, wanted in zip(gradients(code.value, code.terms["commitment"] / x.numel(), x), gradients(value, loss, x), strict=True):
            torch.testing.assert_close(got, wanted)
        stored = nn.functional.normalize(ours.codebook, dim=1) if cosine else ours.codebook
        used = ours.update.counts[0] > 1e-3
        torch.testing.assert_close(stored[used], book.embed[0][used], rtol=1e-3, atol=1e-4)


def test_the_orthogonal_term() -> None:
    other = theirs.VectorQuantize(D, K, learnable_codebook=True, ema_update=False, orthogonal_reg_weight=1.0, commitment_weight=0.0).train()
    ours = CodebookLatent(STEPS, (T, D), -1, K, orthogonal=True)
    with torch.no_grad():
        ours.codebook.copy_(other._codebook.embed[0])
    x = sequence()
    mine, loss = ours(x).terms["orthogonal"], other(x)[2]
    torch.testing.assert_close(mine, loss.squeeze(), rtol=1e-4, atol=1e-6)
    mine.backward()
    loss.sum().backward()
    torch.testing.assert_close(ours.codebook.grad, other._codebook.embed.grad[0], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("groups", [1, 2])
def test_residual_in_groups(groups: int) -> None:
    options: dict[str, Any] = {"num_quantizers": 3, "codebook_size": K, "rotation_trick": False}
    other: Any = theirs.GroupedResidualVQ(dim=D, groups=groups, **options).eval()
    ours = ResidualLatent(STEPS, (T, D), -1, K, groups, levels=3).eval()
    with torch.no_grad():
        ours.codebook.copy_(torch.stack([rvq.codebooks for rvq in other.rvqs], 1).flatten(0, 1))       # (L·G, K, d)
    x = sequence()
    value, indices, _ = other(x)
    code = ours(x)
    torch.testing.assert_close(code.value, value)
    assert torch.equal(code.indices.view(N, T, 3, groups), indices.permute(1, 2, 3, 0))
    losses = other.train()(x)[2]                                                                     # (G, 3), means of levels
    torch.testing.assert_close(code.terms["commitment"].sum() / (x.numel() / groups), losses.sum())


def test_fsq() -> None:
    levels = [8, 5, 5, 6]
    other = theirs.FSQ(levels)
    ours = FsqLatent(STEPS, (T, 4), -1, levels)
    x = sequence()[..., :4].detach().requires_grad_()
    code = ours(x)
    value = other.bound(x, eps=-1e-3)                # the paper's (1 − ε); the library's default is (1 + ε), which moves the borders
    torch.testing.assert_close(code.value, value)
    assert torch.equal(code.indices, other.codes_to_indices(value).long())
    torch.testing.assert_close(other.indices_to_codes(code.indices), ours.lookup(code.indices))
    for got, wanted in zip(gradients(code.value, code.value, x), gradients(value, value, x), strict=True):
        torch.testing.assert_close(got, wanted)


@pytest.mark.parametrize("spherical", [False, True])
def test_binary_codes_and_their_entropies(spherical: bool) -> None:
    other = theirs.LFQ(codebook_size=2 ** D, dim=D, spherical=spherical, commitment_loss_weight=1.0).train()
    ours = BinaryLatent(STEPS, (T, D), -1, temperature=1 / 2.5, spherical=spherical)
    x = (0.3 * sequence()).detach().requires_grad_()
    (value, indices, _), parts = other(x, inv_temperature=2.5, return_loss_breakdown=True)
    code = ours(x)
    torch.testing.assert_close(code.value, value)
    assert torch.equal(code.indices, indices)
    torch.testing.assert_close(code.terms["sample_entropy"].mean(), parts.per_sample_entropy, rtol=1e-3, atol=1e-4)       # it clamps logarithms
    torch.testing.assert_close(D * math.log(2) - code.terms["codebook_entropy"] / T, parts.batch_entropy, rtol=1e-3, atol=1e-4)
    if not spherical:
        torch.testing.assert_close(code.terms["commitment"].sum() / x.numel(), parts.commitment)
    torch.testing.assert_close(other.indices_to_codes(code.indices), ours.lookup(code.indices))


@pytest.mark.parametrize("rotation", [False, True])
def test_simvq(rotation: bool) -> None:
    other = theirs.SimVQ(D, K, rotation_trick=rotation)
    ours = SimVqLatent(STEPS, (T, D), -1, K, rotation=rotation)
    with torch.no_grad():
        ours.codebook.copy_(other.frozen_codebook)
        ours.transform.copy_(other.code_transform.weight.T)
    x = sequence()
    code, (value, indices, loss) = ours(x), other(x)
    torch.testing.assert_close(code.value, value)
    assert torch.equal(code.indices, indices)
    mine = (code.terms["codebook"] + 0.25 * code.terms["commitment"]).sum() / x.numel()
    torch.testing.assert_close(mine, loss)
    for got, wanted in zip(gradients(code.value, mine, x), gradients(value, loss, x), strict=True):
        torch.testing.assert_close(got, wanted)
    mine.backward()
    loss.backward()
    assert ours.transform.grad is not None
    torch.testing.assert_close(ours.transform.grad[0].T, other.code_transform.weight.grad)


def test_a_random_projection() -> None:
    other = theirs.RandomProjectionQuantizer(dim=D, codebook_size=K, codebook_dim=4)
    ours = RandomProjectionLatent(STEPS, (T, 4), -1, K, inputs=D)
    ours.directions.copy_(other.rand_projs)
    ours.codebook.copy_(other.vq._codebook.embed[0])
    assert torch.equal(ours(sequence()).indices, other(sequence()))
