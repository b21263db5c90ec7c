"""Programs as layers: what they compute, whose weights are trained, what a run keeps, and what is refused."""

from __future__ import annotations

import warnings
from functools import cache
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import aebuild
from aebuild.compile.build import build
from aebuild.compile.front import load
from aebuild.lang.diagnostics import AebuildError
from aebuild.trainer.run_dir.run import Run

SPEC = """
name: features
data: {{type: digits, limit: 60}}
encoder: [pretrained: {{path: {path}{more}}}, linear: 6]
latent: {{type: continuous, dim: 3}}
decoder: [linear: 8]
losses: {{reconstruction: mse}}
train: {{steps: 3, batch_size: 20, device: cpu}}
"""


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4), nn.ReLU()).eval()


@cache
def programs() -> dict[str, bytes]:
    """The same network, exported for batches of any size and of two, and for TorchScript."""
    rows, x, held = torch.export.Dim("rows"), torch.zeros(2, 1, 8, 8), {"broken.pt2": b"no program"}
    for name, shapes in (("net.pt2", ({0: rows},)), ("two.pt2", None)):
        torch.export.save(torch.export.export(network(), (x,), dynamic_shapes=shapes), file := BytesIO())
        held[name] = file.getvalue()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r".*torch\.jit")
        torch.jit.save(torch.jit.trace(network(), x), file := BytesIO())
    return held | {"net.pt": file.getvalue()}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with all of them."""
    for name, held in programs().items():
        (tmp_path / name).write_bytes(held)
    return tmp_path


def loaded(place: Path, path: str, more: str = ""):
    return load(place / "spec.yaml", text=SPEC.format(path=path, more=more))


@pytest.mark.parametrize(("path", "more"), [("net.pt2", ", freeze: false"), ("net.pt", "")])
def test_a_program_is_a_layer_and_its_weights_are_the_runs(path, more, files, tmp_path):
    plan = loaded(files, path, more).require()
    model = build(plan)
    x = torch.rand(5, 1, 8, 8)
    assert torch.allclose(model.encoder[0](x), network()(x), atol=1e-6)
    assert plan.encoder.children[0].own_params == sum(p.numel() for p in network().parameters())
    (files / "spec.yaml").write_text(SPEC.format(path=path, more=more))
    run = aebuild.train(files / "spec.yaml", folder=tmp_path / "run").run
    kept = Run.open(run).checkpoints.load("best", "step").checkpoint.model
    own = network().state_dict()
    assert {name.removeprefix("encoder.0.program.") for name in kept if name.startswith("encoder.0.")} == set(own)
    moved = {name for name, tensor in own.items() if not torch.equal(kept[f"encoder.0.program.{name}"], tensor)}
    assert moved == ({"0.weight", "0.bias", "1.weight", "1.bias"} if "false" in more else set())
    again = aebuild.open_run(run)
    codes = again.encode(np.zeros((2, 1, 8, 8), np.uint8)).values
    assert codes.shape == (2, 3)
    assert sha256((files / path).read_bytes()).hexdigest() in (run / "spec.yaml").read_text()
    (files / path).rename(files / "gone")
    with pytest.raises(AebuildError, match=f"{path} cannot be read"):
        aebuild.open_run(run)


@pytest.mark.parametrize(("path", "more", "what"), [
    ("net.pt2", f", sha256: {'ab' * 32}", "has SHA-256"), ("none.pt2", "", "cannot be read"), ("broken.pt2", "", "no ZIP archive"),
    ("net.onnx", "", "a .pt, .ts or .pt2 file"), ("two.pt2", "", r"does not take samples of \(3, 1, 8, 8\)")])
def test_what_cannot_be_a_layer_is_refused_at_its_line(path, more, what, files):
    found = loaded(files, path, more).diagnostics
    assert [each.code for each in found] == ["AE854"] and found[0].span is not None and found[0].span.line == 4
    with pytest.raises(AebuildError, match=what):
        loaded(files, path, more).require()


def test_other_samples_than_it_takes_are_refused(files):
    text = SPEC.format(path="net.pt2", more="")
    for path in ("net.pt2", "net.pt"):
        with pytest.raises(AebuildError, match=r"does not take samples of \(3, 3, 32, 32\)"):
            load(files / "spec.yaml", text=SPEC.format(path=path, more="").replace("{type: digits, limit: 60}", "photos")).require()
    with pytest.raises(AebuildError, match="AE855"):
        load(files / "spec.yaml", text=text.replace("decoder: [linear: 8]\n", "")).require()
