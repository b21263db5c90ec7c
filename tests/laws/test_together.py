"""Any number of processes or threads train the same model from the same global batches, and evaluate it alike."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from covering import covering
from models import fine
from safetensors.torch import load_file
from together_worker import BATCH, small

from aebuild.compile.front import load
from aebuild.results.shipped import shipped
from specs import seeded

pytestmark = pytest.mark.slow

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
GENERATED = range(4)
HEAD = f"train: {{epochs: 2, batch_size: {BATCH}, optimizer: {{type: sgd, lr: 1e-2}}"
WRITTEN = {
    "groups of codes, restarted": f"""
data: digits
encoder: [conv: {{width: 8, stride: 2}}]
latent: {{type: codebook, codes: 16, dim: 6, groups: 3, update: {{type: ema, decay: 0.5}}, restart: {{below: 2.0, decay: 0.5}}}}
{HEAD}}}""",
    "one book for groups, by gradient, drawn at random": f"""
data: digits
encoder: [linear: 16]
latent: {{type: codebook, codes: 5, dim: 6, groups: 3, shared: true, init: normal, restart: {{below: 1.0, decay: 0.5}}}}
{HEAD}}}""",
    "scalars": f"""
data: digits
encoder: [linear: 16]
latent: {{type: codebook, codes: 7, dim: 4, groups: 4, update: ema}}
{HEAD}}}""",
    "players, dropout, mixture": f"""
data: digits
encoder: [linear: 16, dropout: 0.3]
latent: {{type: adversarial, dim: 2, prior: petals, discriminator: [linear: 8, dropout: 0.2]}}
{HEAD}, players: {{discriminator: {{steps: 2}}}}}}""",
    "one-hot codes": f"""
data: digits
encoder: [linear: 16]
latent: {{type: adversarial, dim: 4, prior: categorical, discriminator: [linear: 8]}}
{HEAD}}}""",
    "spiral": f"""
data: digits
encoder: [linear: 16]
latent: {{type: adversarial, dim: 2, prior: swiss_roll, discriminator: [linear: 8]}}
{HEAD}}}""",
    "noise, sparsity, clipped": f"""
data: digits
corrupt: [gaussian: 0.2, mask: 0.3]
encoder: [linear: 16]
latent: {{type: continuous, dim: 8, activation: sigmoid}}
losses: {{sparsity: {{type: kl, target: 0.1, weight: 2}}}}
{HEAD}, clip: 0.5}}""",
    "two views": f"""
data: digits
corrupt: [mask: 0.3]
encoder: [linear: 16]
latent: {{type: gaussian, dim: 8}}
losses: {{contrastive: {{type: ntxent, weight: 0.5}}}}
{HEAD}}}""",
    "hidden patches": f"""
data: digits
corrupt: [patch_mask: 0.75]
encoder: [patchify: {{size: 2, width: 8}}, transformer: {{width: 8, heads: 2}}]
latent: {{type: continuous, dim: 4, per: position}}
decoder: [transformer: {{width: 4, heads: 2}}, unpatchify: 2]
losses: {{reconstruction: {{type: mse, on: masked, normalize: patch}}}}
{HEAD}}}""",
    "norms over grids, labels, predicted variances": f"""
data: digits
encoder: [conv: {{width: 8, stride: 2, norm: batch}}, conv: {{width: 8, stride: 2, norm: batch}}]
latent: {{type: gaussian, dim: 4}}
heads: {{digit: {{from: latent, predicts: label, network: [linear: {{width: 8, norm: batch}}]}}}}
losses: {{reconstruction: {{type: gaussian, variance: predicted}}, kl: {{weight: {{from: 0, to: 1, over: 2 epochs}}}}}}
{HEAD}}}""",
    "norms over sequences, some truth fed in, learned variance": f"""
data: {{type: arrays, path: none.npz, shape: [12, 3], as: sequence}}
encoder: [conv: {{width: 8, norm: batch}}, lstm: 8]
latent: {{type: continuous, dim: 4}}
decoder: [lstm: {{width: 8, feed: previous, teacher_forcing: 0.5}}]
losses: {{reconstruction: {{type: gaussian, variance: learned}}}}
{HEAD}}}""",
    "greedy on codes": f"""
data: digits
corrupt: [mask: 0.3]
encoder: [linear: {{width: 16, norm: batch}}, linear: 8]
latent: {{type: gaussian, dim: 4}}
train: {{batch_size: {BATCH}, optimizer: {{type: adam, lr: 1e-3}}, phases: [greedy: {{target: code, epochs: 1}}, main: {{epochs: 1}}]}}""",
    "a sparse code of the batch, revived, decorrelated and nested": f"""
data: {{type: arrays, path: none.npz, shape: [12]}}
encoder: []
latent: {{type: sparse, dim: 24, activation: {{type: batch_top_k, k: 2}}, revive: {{type: auxiliary, k: 4, after: 2}}}}
decoder: []
losses: {{decorrelation: {{normalize: true}}, nested: {{units: [4]}}}}
{HEAD}}}""",
    "halves with small gradients": f"""
data: digits
encoder: [linear: 16]
latent: {{type: continuous, dim: 8}}
losses: {{contractive: {{draws: 2, weight: 0.1}}, decoder_gradient: 0.1}}
{HEAD}}}""",
    "slopes of a critic": f"""
data: digits
encoder: [linear: 16]
latent: {{type: continuous, dim: 4}}
losses: {{critic: {{type: patch_gan, network: [conv: {{width: 8, stride: 2}}], form: wasserstein, gradient_penalty: 10, adaptive: false}}}}
{HEAD}}}""",
    "batches that leave a process without a sample": """
data: digits
encoder: [conv: {width: 8, stride: 2, norm: batch}]
latent: {type: codebook, codes: 16, dim: 6, groups: 3, update: ema, init: normal, restart: none}
heads: {digit: {from: latent, predicts: label}}
losses: {reconstruction: {type: gaussian, variance: predicted}}
train: {steps: 4, batch_size: 1, optimizer: {type: sgd, lr: 1e-3}}""",
}


def cases() -> dict[str, str]:
    """Shipped specs that have every part and need no other run, made small; what they lack; and some generated ones."""
    gallery = {name: small(load(shipped()[name]).require() and _whole(shipped()[name])) for name in covering()
               if "run: " not in shipped()[name].read_text()}
    made = {f"generated {seed}": seeded(seed) for seed in GENERATED}
    return gallery | WRITTEN | made


def ways(number: int, name: str) -> list[str]:
    """How a case is trained: all on two processes; where weights or samples are only divided further, a third of the shipped ones do."""
    further = name not in shipped() or number % 3 == 0
    return ["whole", *(["sharded", "threads"] if further else [])]


def _whole(path: Path) -> str:
    """The text with what it extends."""
    from aebuild.compile.canonical import text

    spec = load(str(path)).spec
    assert spec is not None
    return text(spec)


def start(rank: int, size: int, folder: Path, way: str) -> subprocess.Popen[str]:
    """A worker."""
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{HERE}", "OMP_NUM_THREADS": "1", "TORCH_CPP_LOG_LEVEL": "FATAL"}
    return subprocess.Popen([sys.executable, str(HERE / "together_worker.py"), str(rank), str(size), str(folder), way], env=env,
                            stderr=subprocess.PIPE, text=True)


def test_one_process_and_two_and_three_threads_agree(tmp_path: Path) -> None:
    texts = cases()
    assert all(map(fine, texts.values()))
    listed = [{"text": text, "ways": ways(number, name)} for number, (name, text) in enumerate(texts.items())]
    (tmp_path / "cases.json").write_text(json.dumps(listed))
    workers = [start(rank, size, tmp_path, way) for size, way in ((1, "whole"), (1, "threads"), (2, "whole"), (2, "sharded")) for rank in range(size)]
    told = [worker.communicate(timeout=500)[1] for worker in workers]
    assert not any(told) and not any(worker.returncode for worker in workers), "\n".join(told)
    wrong = [f"{name}: {difference}" for number, name in enumerate(texts) for way in ways(number, name)
             for difference in differences(tmp_path, number, way)]
    assert not wrong, "\n".join(wrong)


def differences(folder: Path, number: int, way: str) -> list[str]:
    """Where two processes, or one with threads, ended elsewhere than one, or than each other."""
    if way == "sharded" and not (folder / f"2-sharded-0-{number}.json").exists():
        return [] if (folder / f"2-whole-0-{number}.json").exists() else ["missing"]
    names = ("1-whole-0", f"2-{way}-0", f"2-{way}-1") if way != "threads" else ("1-whole-0", "1-threads-0", "1-threads-0")
    one, two, other = (load_file(folder / f"{name}-{number}.safetensors") for name in names)
    found = [f"{way} {name} differs between ranks" for name in two if not torch.equal(two[name], other[name])]
    found += [f"{way} {name} differs by {float((one[name] - two[name]).abs().max()):.3g}" for name in one
              if not torch.allclose(one[name].double(), two[name].double(), rtol=1e-6, atol=1e-7)]
    rows = [json.loads((folder / f"{name}-{number}.json").read_text()) for name in names[:2]]
    return found + ([] if rows[0] and close(*rows) else [f"journal {rows[0]} {rows[1]}"])


def close(a: Any, b: Any) -> bool:
    """Equal, numbers nearly."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(close(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(close, a, b))
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-5, abs_tol=1e-7)
    return bool(a == b)
