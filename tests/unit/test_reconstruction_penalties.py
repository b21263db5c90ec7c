"""Terms beside the likelihood: structural similarity, frequencies, spectrograms, features of a program, and contrasts by class."""

from __future__ import annotations

import copy
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from aebuild import train
from aebuild.compile.front import load
from aebuild.lang.diagnostics import DataError
from aebuild.metrics import reconstruction as measures
from aebuild.modules.contrast import Supervised, Triplet
from aebuild.modules.perceptual import Perceptual
from aebuild.modules.spectra import FocalFrequency, Mel, Stft, mel_filters
from aebuild.modules.structure import Similarity


def images(side: int) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    x = torch.rand(3, 2, side, side, dtype=torch.float64)
    return x, (x + 0.2 * torch.randn_like(x)).clamp(0, 1)


def test_ssim_is_the_measures_and_scikit_images() -> None:
    from skimage.metrics import structural_similarity

    x, y = images(24)
    found = Similarity(11, 1.5, 1.0)(x, y)
    np.testing.assert_allclose(1 - found, measures.ssim(x.numpy(), y.numpy(), 1.0), atol=1e-9)
    peer = [np.mean([structural_similarity(a, b, data_range=1.0, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
                     for a, b in zip(one, two, strict=True)]) for one, two in zip(x.numpy(), y.numpy(), strict=True)]
    np.testing.assert_allclose(1 - found, peer, atol=1e-9)
    assert Similarity(11, 1.5, 1.0)(x, x).abs().max() < 1e-12


def test_ms_ssim_is_the_measures() -> None:
    torch.manual_seed(0)
    x = F.interpolate(torch.rand(2, 1, 22, 22, dtype=torch.float64), 176, mode="bilinear")
    y = (x + 0.1 * torch.randn_like(x)).clamp(0, 1)
    found = Similarity(11, 1.5, 1.0, measures.SCALES)(x, y)
    np.testing.assert_allclose(1 - found, measures.ms_ssim(x.numpy(), y.numpy(), 1.0), rtol=1e-6)


def test_focal_frequency_is_the_papers_formula() -> None:
    """Each coefficient by hand: Σ exp(−2πi(ux/M + vy/N)) / √(MN), weighted by its distance as a share of the largest."""
    x, y = images(6)
    u = torch.arange(6, dtype=torch.float64)
    wave = torch.polar(torch.ones(6, 6, dtype=torch.float64), -2 * math.pi * torch.outer(u, u) / 6)
    apart = (wave @ (y - x).to(wave.dtype) @ wave) / 6
    weight = apart.abs() ** 0.7
    weight = weight / weight.amax((2, 3), keepdim=True)
    wanted = (weight * apart.abs().square()).mean((1, 2, 3))
    torch.testing.assert_close(FocalFrequency(0.7)(x, y), wanted)
    torch.testing.assert_close(FocalFrequency(0.0)(x, y), (x - y).square().mean((1, 2, 3)))           # Parseval
    y.requires_grad_()
    slope, = torch.autograd.grad(FocalFrequency(1.0)(x, y).sum(), y)
    assert slope.isfinite().all()
    assert FocalFrequency(1.0)(x, x).abs().max() == 0


@pytest.mark.parametrize("series", [True, False])
def test_stft_against_frames_by_hand(series: bool) -> None:
    torch.manual_seed(0)
    x, y = torch.randn(2, 3, 40, dtype=torch.float64), torch.randn(2, 3, 40, dtype=torch.float64)

    def magnitudes(wave: Tensor, length: int, hop: int, size: int) -> Tensor:
        window = torch.zeros(size, dtype=torch.float64)
        start = (size - length) // 2
        window[start:start + length] = 0.5 - 0.5 * torch.cos(2 * math.pi * torch.arange(length) / length)
        padded = F.pad(wave, (size // 2, size // 2))
        frames = torch.stack([padded[at:at + size] * window for at in range(0, len(padded) - size + 1, hop)], 1)
        return torch.fft.rfft(frames, dim=0).abs().square().clamp(min=1e-7).sqrt()

    wanted = torch.zeros(2, dtype=torch.float64)
    for length, hop, size in ((8, 4, 8), (12, 6, 16)):
        for n in range(2):
            for channel in range(3):
                a, b = (magnitudes(wave[n, channel], length, hop, size) for wave in (x, y))
                wanted[n] += ((a - b).norm() / a.norm() + (a.log() - b.log()).abs().mean()) / 6
    given = [each.transpose(1, 2) if series else each for each in (x, y)]
    torch.testing.assert_close(Stft([8, 12], 0.5, series=series)(*given), wanted, rtol=1e-6, atol=1e-6)
    assert Stft([8, 12], 0.5, series=series)(given[0], given[0]).abs().max() < 1e-6


def test_mel_bands() -> None:
    from aebuild.data.spectrogram import Spectrogram

    np.testing.assert_allclose(mel_filters(8000, 10, 256), Spectrogram(8000, 1000, 256, 64, 10).bands, atol=1e-6)
    torch.manual_seed(0)
    noise = torch.randn(2, 1, 600)
    module = Mel(8000, 10, 256, 0.25, series=False)
    torch.testing.assert_close(module(noise, noise), torch.zeros(2))
    torch.testing.assert_close(module(noise, noise / 2), torch.full((2,), math.log(4)), rtol=1e-4, atol=0)     # a quarter of the power


def saved(place: Path, network: torch.nn.Module, *given: Tensor) -> Path:
    file = place / "features.pt"
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r".*torch\.jit")
        torch.jit.trace(network.eval(), given).save(str(file))  # type: ignore[no-untyped-call]
    return file


class Layers(torch.nn.Module):
    """Two layers of features."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = torch.nn.Conv2d(1, 4, 3), torch.nn.Conv2d(4, 5, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.one(x)
        return y, self.two(y.relu())


def test_features_of_a_program(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, x, y = Layers(), torch.rand(3, 1, 8, 8), torch.rand(3, 1, 8, 8, requires_grad=True)
    module = Perceptual(str(saved(tmp_path, network, x)))
    found = module(x, y)
    wanted = sum((F.normalize(a, dim=1) - F.normalize(b, dim=1)).square().sum(1).mean((1, 2))
                 for a, b in zip(network(x), network(y), strict=True))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    found.sum().backward()
    assert y.grad is not None
    assert y.grad.abs().max() > 0
    assert not list(module.parameters())
    assert not module.state_dict()
    torch.testing.assert_close(copy.deepcopy(module)(x, y), found)


SPEC = """\
name: perceptual
data: {type: digits, limit: 20}
encoder: [linear: 8]
latent: {type: continuous, dim: 3}
losses: {perceptual: {path: features.pt}}
train: {steps: 2, batch_size: 10, device: cpu, speed: exact}
"""


def test_what_a_program_must_be_is_said_before_a_step(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    gone = load(spec, text=SPEC)
    assert [(found.code, found.path) for found in gone.errors] == [("AE378", "losses.perceptual.path")]
    saved(tmp_path, torch.nn.Conv2d(3, 2, 3), torch.rand(1, 3, 8, 8))
    with pytest.raises(DataError, match="does not take samples"):
        train(load(spec, text=SPEC), folder=tmp_path / "one")
    saved(tmp_path, torch.nn.Conv2d(1, 2, 3), torch.rand(1, 1, 8, 8))
    with pytest.raises(DataError, match="it is another file"):
        train(load(spec, text=SPEC.replace("features.pt", f"features.pt, sha256: {'ab' * 32}")), folder=tmp_path / "two")
    (tmp_path / "features.pt").write_bytes(b"no program")
    with pytest.raises(DataError, match="no program that torch can load"):
        train(load(spec, text=SPEC), folder=tmp_path / "three")


def naive_supervised(code: Tensor, labels: list[int], temperature: float) -> list[float | None]:
    """Khosla et al., 2020, equation 2, over the samples with a label."""
    z, found = F.normalize(code, dim=1), []
    for i, own in enumerate(labels):
        others = [a for a, label in enumerate(labels) if a != i and label >= 0]
        alike = [p for p in others if labels[p] == own]
        if own < 0 or not alike:
            found.append(None)
            continue
        whole = sum(math.exp(float(z[i] @ z[a]) / temperature) for a in others)
        found.append(-sum(math.log(math.exp(float(z[i] @ z[p]) / temperature) / whole) for p in alike) / len(alike))
    return found


LABELS = [0, 1, 0, -1, 2, 1, 0]


def test_supervised_contrast_is_the_papers_formula() -> None:
    torch.manual_seed(0)
    code = torch.randn(7, 4, dtype=torch.float64, requires_grad=True)
    raw, counts = Supervised(0.3)(code, torch.tensor(LABELS))
    wanted = naive_supervised(code.detach(), LABELS, 0.3)
    assert counts.tolist() == [each is not None for each in wanted]
    np.testing.assert_allclose((raw * counts).detach(), [each or 0 for each in wanted])
    (raw * counts).sum().backward()  # type: ignore[no-untyped-call]
    assert code.grad is not None
    assert code.grad.isfinite().all()
    assert code.grad[3].abs().max() == 0                                    # nothing is known of it


def test_hardest_triplets() -> None:
    torch.manual_seed(0)
    code = torch.randn(7, 4, dtype=torch.float64, requires_grad=True)
    raw, counts = Triplet(0.5)(code, torch.tensor(LABELS))
    place = code.detach()
    for i, own in enumerate(LABELS):
        alike = [float((place[i] - place[p]).norm()) for p, label in enumerate(LABELS) if p != i and label == own >= 0]
        other = [float((place[i] - place[n]).norm()) for n, label in enumerate(LABELS) if label not in (own, -1)]
        assert counts[i] == bool(alike and own >= 0)
        if counts[i]:
            assert raw[i].item() == pytest.approx(max(0.0, max(alike) - min(other) + 0.5))
    (raw * counts).sum().backward()  # type: ignore[no-untyped-call]
    assert code.grad is not None
    assert code.grad.isfinite().all()


@pytest.mark.parametrize("module", [Supervised(0.3), Triplet(0.5)], ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("labels", [[-1, -1, -1], [0, 1, 2], [0, -1, -1]], ids=str)
def test_a_batch_without_a_pair_gives_0(module: Any, labels: list[int]) -> None:
    from aebuild.modules.code import Code
    from aebuild.modules.outputs import Batch, Outputs

    code = torch.randn(3, 4, requires_grad=True)
    x = torch.zeros(3, 2)
    term = module.loss(Outputs(Batch(x, x, labels=torch.tensor(labels)), Code(code)))
    assert term.tolist() == [0, 0, 0]
    term.sum().backward()
    assert code.grad is not None
    assert code.grad.isfinite().all()
    assert module.loss(Outputs(Batch(x, x), Code(code))) is None


@pytest.mark.parametrize(("losses", "data"), [
    ("structure: ssim", "digits"), ("structure: {type: ms_ssim, scales: 2, window: 5}", "digits"), ("structure: ssim", "wine"),
    ("structure: {type: ssim, window: 3}", "{type: digits, scale: standard}"), ("spectrum: focal_frequency", "wine"),
    ("spectrum: stft", "digits"), ("spectrum: {type: mel, rate: 100}", "ecg5000"), ("spectrum: stft", "ecg5000"),
    ("contrastive: supervised", "photos"), ("contrastive: triplet", "photos"), ("perceptual: {path: x.onnx}", "digits")])
def test_what_does_not_fit_is_refused(losses: str, data: str, tmp_path: Path) -> None:
    found = load(tmp_path / "spec.yaml", text=f"data: {data}\nencoder: [linear: 8]\nlatent: {{type: continuous, dim: 3}}\nlosses: {{{losses}}}\n")
    assert "AE314" in [error.code for error in found.errors]
