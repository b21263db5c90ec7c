"""Small trainable specs in which the numbers of every part act; a part that stands in none of them fails the knob law."""

from __future__ import annotations

import gzip
import io
import os
import struct
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

TRAIN = "train: {epochs: 2, batch_size: 16, device: cpu}\n"

TABLE = """
data: {type: wine, limit: 60, labels: 40, scale: standard, split: {validation: 0.2, test: 20, seed: 3}, exclude: {label: 1}}
corrupt: [gaussian: {std: 0.5, clip: [-1, 1]}, mask: {ratio: 0.3, value: 0.5}]
encoder:
  - linear: {width: 8, norm: {type: batch, momentum: 0.2, eps: 0.001}, activation: {type: leaky_relu, negative_slope: 0.1}}
  - linear: {width: 8, norm: {type: group, groups: 2, eps: 0.001}, activation: {type: elu, alpha: 0.7}}
  - dropout: 0.3
  - linear: {width: 6, norm: {type: layer, eps: 0.001}}
latent: {type: continuous, dim: 4, activation: sigmoid}
decoder: {type: mirror, widen: 2, deepen: 1}
heads: {kind: {from: latent, predicts: label, network: [linear: 3]}}
losses:
  reconstruction: {type: mse, weight: 2}
  sparsity: {type: kl, target: 0.2, weight: 0.5}
  contrastive: {temperature: 0.5, weight: 0.3}
  kind: {weight: 0.5}
train: {steps: 6, batch_size: 16, seed: 1, clip: 0.5, device: cpu, optimizer: {lr: 0.01, betas: [0.8, 0.9], eps: 1.0e-4, weight_decay: 0.1}}
evaluate: {pictures: 3}
"""

STACK = """
data: {type: wine, limit: 50}
encoder: [linear: 8, linear: 6]
latent: {type: continuous, dim: 3}
losses: {reconstruction: {type: l1, weight: 0.5}, sparsity: {type: l1, weight: 0.2}}
train:
  seed: 7
  device: cpu
  batch_size: 25
  optimizer: {type: sgd, lr: 0.01, momentum: 0.5, dampening: 0.1, weight_decay: 0.1, schedule: {type: step, step_size: 1, gamma: 0.5}}
  phases: [greedy: {epochs: 2, batch_size: 20, clip: 0.4}, greedy: {steps: 3}, main: {epochs: 1, batch_size: 10, clip: 0.3}, main: {steps: 3}]
"""

PATIENT = """
data: {type: wine, limit: 50}
encoder: [linear: 8]
latent: {type: continuous, dim: 3}
train: {epochs: 8, patience: 2, batch_size: 20, device: cpu, optimizer: {lr: 0.3}, phases: [greedy: {patience: 1}, main: {patience: 1}, main]}
"""

IMAGE = """
data: {type: digits, limit: 30, size: [10, 7], pad: 1, labels: 20, split: {validation: 10, test: 0.5, seed: 4}}
encoder:
  - conv: {width: 4, kernel: [3, 2], stride: 2, padding: 1, dilation: 1, groups: 1}
  - conv: {width: 4, kernel: 2, stride: 1, groups: 2}
  - residual: [conv: {width: 4, norm: batch}, conv: {width: 4, activation: none}]
latent: {type: gaussian, dim: 3}
decoder:
  steps: [conv: {width: 4, kernel: 3}, repeat: {times: 2, steps: [conv: {width: 4}]}, conv: {width: 2, dilation: 2}, output: {kernel: 3, stride: 1}]
  seed: [3, 2]
losses: {reconstruction: {type: bernoulli, weight: 0.5}, kl: {weight: {from: 0.1, to: 2, over: 1 epoch}, free_bits: 0.05}}
train: {epochs: 2, batch_size: 10, device: cpu, optimizer: {type: rmsprop, lr: 0.01, alpha: 0.9, eps: 1.0e-4, weight_decay: 0.1, momentum: 0.3,
        schedule: {type: cosine, T_max: 3, eta_min: 0.001}}}
"""

RESIZED = """
data: {type: digits, limit: 20}
encoder:
  - pool: {size: 2}
  - conv_transpose: {width: 4, kernel: 3, stride: 2, padding: 1, output_padding: 1, dilation: 2}
  - upsample: {scale: 2}
  - flatten
  - unflatten: [8]
  - conv: {width: 2, kernel: 3, stride: 2}
latent: {type: continuous, dim: 3}
decoder: [linear: 16, unflatten: [2, 2], upsample: {scale: 2}, conv: {width: 2}, output: {kernel: 3, stride: 2}]
losses: {reconstruction: {type: gaussian, variance: 0.5, weight: 0.1}}
train: {steps: 4, batch_size: 10, device: cpu, optimizer: {type: adamw, lr: 0.01, betas: [0.8, 0.9], eps: 1.0e-4, weight_decay: 0.1,
        schedule: {type: exponential, gamma: 0.7}}}
"""

CATEGORICAL = """
data: {type: digits, limit: 20, scale: integer}
encoder: {layer: conv, width: [4, 6], stride: 2}
latent: {type: codebook, codes: 4, dim: 4, groups: 2, per: position, update: {type: ema, decay: 0.8, epsilon: 0.01},
         restart: {below: 2, decay: 0.5}, init: normal}
decoder: {layer: conv, width: 4, depth: 2, upsample: nearest}
losses: {reconstruction: {type: categorical, weight: 0.5}, commitment: 0.25}
train: {epochs: 3, batch_size: 10, device: cpu, optimizer: {type: adam, lr: 0.01, schedule: {type: multistep, milestones: [1, 2], gamma: 0.3}}}
"""

CODES = """
data: {type: digits, limit: 20}
encoder: {layer: conv, width: 4, stride: 2}
latent: {type: codebook, codes: 5, dim: 4, groups: 2, shared: true, init: normal}
losses: {codebook: {weight: 0.5}, commitment: {weight: 0.25}}
train: {steps: 6, batch_size: 10, device: cpu, optimizer: {lr: 0.01, schedule: {type: one_cycle, pct_start: 0.4, base_momentum: 0.8, max_momentum: 0.9,
        div_factor: 5, final_div_factor: 10}}}
"""

SERIES = """
data: {type: series, path: wave.csv, columns: [1, 2], target: [0, 2], window: {length: 8, stride: 2}, limit: 30, split: {validation: 0.2, test: 0.3}}
encoder: [conv: {width: 4, kernel: 3}, lstm: {width: 3, returns: sequence}, gru: {width: 3, returns: sequence}, rnn: 3]
latent: {type: gaussian, dim: 2}
decoder: [KIND: {width: 3, feed: previous, teacher_forcing: FORCING}, gru: 3]
train: {epochs: 2, batch_size: 10, device: cpu, optimizer: {lr: {from: 0.001, to: 0.01, over: 3 steps}}}
"""

ATTENTION = """
data: {type: arrays, path: s.npz, limit: 30, labels: 20, label: y, split: {validation: 0.2, test: 0.3, seed: 2}}
encoder: {layer: transformer, depth: 2, width: 4, heads: 2, mlp: 2, dropout: 0.2}
latent: {type: continuous, dim: 2}
decoder: {layer: lstm, width: 3, seed: [6]}
heads: {kind: {from: encoder, predicts: label}}
losses: {kind: {weight: [{from: 0, to: 1, over: 2 steps}, {from: 1, to: 0.5, over: 50%, shape: cosine}]}}
train: {steps: 5, batch_size: 10, device: cpu}
"""

TOKENS = """
data: {type: arrays, path: text.npy, as: tokens, vocabulary: 9, limit: 30}
encoder: [gru: 4]
latent: {type: gaussian, dim: 2}
decoder: [gru: 4]
losses: {reconstruction: {type: categorical, weight: 0.5}}
train: {steps: 4, batch_size: 10, device: cpu}
"""

ADVERSARIAL = """
data: {type: wine, limit: 40}
encoder: [linear: 6]
latent: {type: adversarial, dim: DIM, prior: PRIOR, discriminator: {layer: linear, width: [4, 3]}}
losses: {adversarial: {weight: 0.5}, discriminator: {weight: 2}}
train: {steps: 4, batch_size: 20, device: cpu, players: {discriminator: {steps: 2, clip: 0.1}}}
"""

PLAIN = """
data: DATA
encoder: []
latent: {type: continuous, dim: 2}
decoder: {layer: linear, width: 4}
""" + TRAIN

PRIORS = ("{type: gaussian, std: 0.5}", "{type: uniform, low: -1, high: 2}", "{type: mixture, components: 3, radius: 2, std: 0.5, across: 0.2}",
          "{type: swiss_roll, turns: 1.5, radius: 2, std: 0.2}")
DATA = (
    "{type: breast_cancer, limit: 50, labels: 30, split: {validation: 0.1, seed: 1}}",
    "{type: photos, patch: 6, count: 60, limit: 30}",
    "{type: arrays, path: x.npz, limit: 20, size: 9, pad: 1, labels: 12, label: y, classes: 3}",
    "{type: arrays, path: x.npz, shape: [3, 6, 8], label: y, split: {test: 12}}",
    "{type: arrays, path: x.npz, label: y, exclude: {label: [0, 1]}}",
    "{type: idx, path: train-images-idx3-ubyte.gz, limit: 20, size: [5, 4], pad: 1, labels: 12, classes: 3}",
    "{type: idx, path: train-images-idx3-ubyte.gz, shape: [1, 6, 5]}",
    "{type: images, path: pictures, limit: 8, size: 5, pad: 1, labels: 6, classes: 2}",
    "{type: images, path: pictures, shape: [3, 6, 7]}",
    "{type: webdataset, path: tars, limit: 20, size: 9, pad: 1, labels: 12, classes: 3, split: {validation: 6, test: 0.2, seed: 1}}",
    "{type: webdataset, path: tars, stream: true, shape: [1, 6, 5], exclude: {label: 1}}",
    "{type: table, path: rows.csv, columns: [0, 1, 2], label: 4, target: [1, 3], limit: 30, labels: 20, classes: 3}",
    "{type: table, path: rows.csv, columns: [a, b], shape: [2]}",
    "{type: series, path: wave.csv, window: {length: 6, stride: 3}, shape: [6, 3], columns: [0, 1, 2]}",
    "{type: series, path: machines.csv, group: 1, window: {length: 4, stride: 2}, columns: [2, 3], limit: 30}",
    "{type: ecg5000, root: ., limit: 40, labels: 30, split: {validation: 20}}",
)
KNOWN = (
    "{type: mnist, limit: 40, labels: 30, size: 7, pad: 1, split: {validation: 100, seed: 1}}",
    "{type: fashion_mnist, limit: 40, labels: 30, size: 7, pad: 1, split: {validation: 0.01}}",
    "{type: cifar10, limit: 40, labels: 30, size: 7, pad: 1}",
    "{type: ecg5000, limit: 40, labels: 30, split: {validation: 20}}",
)


def contexts() -> list[str]:
    """The specs, all over files that `make_files` writes."""
    series = [SERIES.replace("KIND", kind).replace("FORCING", forcing) for kind, forcing in
              (("lstm", "0.5"), ("gru", "0.3"), ("rnn", "{from: 1, to: 0.2, over: 4 steps}"))]
    adversarial = [ADVERSARIAL.replace("PRIOR", prior).replace("DIM", "2") for prior in PRIORS]
    return [TABLE, STACK, PATIENT, IMAGE, RESIZED, CATEGORICAL, CODES, *series, ATTENTION, TOKENS, *adversarial, *map(plain, DATA)]


def plain(data: str) -> str:
    """The smallest model over some data."""
    return PLAIN.replace("DATA", data)


@contextmanager
def among_files(folder: Path) -> Iterator[None]:
    """While entered, the working directory has the files that the specs name."""
    before = Path.cwd()
    make_files(folder)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def make_files(folder: Path) -> None:
    """Small files of every kind that a spec may name."""
    from PIL import Image

    draw = np.random.default_rng(0)
    labels = np.arange(60) % 3
    np.savez(folder / "x.npz", x=draw.integers(0, 255, (60, 3, 6, 8), dtype=np.uint8), y=labels)
    np.save(folder / "text.npy", draw.integers(0, 7, (60, 6)))
    np.savez(folder / "s.npz", x=draw.normal(size=(60, 6, 2)), y=labels)
    (folder / "ecg5000").mkdir()
    beats = {f"{part}_{what}": array for part, count in (("train", 500), ("test", 4500)) for what, array in
             (("x", draw.normal(size=(count, 140)).astype(np.float32)), ("anomaly", np.arange(count) % 2))}
    np.savez(folder / "ecg5000" / "ecg5000.npz", **beats)
    rows = np.column_stack([draw.normal(size=(60, 4)), labels])
    names = "a,b,c,d,kind"
    (folder / "rows.csv").write_text("\n".join([names, *(",".join(f"{cell:g}" for cell in row) for row in rows)]) + "\n")
    wave = np.sin(np.arange(200)[:, None] / (3, 5, 7)) + draw.normal(size=(200, 3)) / 10
    (folder / "wave.csv").write_text("\n".join(["u,v,w", *(",".join(f"{cell:.5f}" for cell in row) for row in wave)]) + "\n")
    lines = ["machine,hall,u,v", *(f"{row // 50},{row // 100},{u:.5f},{v:.5f}" for row, (u, v, _) in enumerate(wave))]
    (folder / "machines.csv").write_text("\n".join(lines) + "\n")
    for name, array in (("train-images-idx3-ubyte", draw.integers(0, 255, (50, 6, 5), dtype=np.uint8)),
                        ("train-labels-idx1-ubyte", (np.arange(50) % 3).astype(np.uint8))):
        head = struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
        (folder / f"{name}.gz").write_bytes(gzip.compress(head + array.tobytes()))
    write_tar(folder / "tars" / "a.tar", draw.integers(0, 255, (50, 6, 5), dtype=np.uint8))
    for kind in ("cat", "dog"):
        (folder / "pictures" / kind).mkdir(parents=True)
        for i in range(10):
            Image.fromarray(draw.integers(0, 255, (6, 7, 3), dtype=np.uint8)).save(folder / "pictures" / kind / f"{i}.png")


def write_tar(path: Path, images: np.ndarray) -> None:
    """Images as arrays in an archive, with a class each."""
    path.parent.mkdir()
    with tarfile.open(path, "w") as archive:
        for row, image in enumerate(images):
            stored = io.BytesIO()
            np.save(stored, image)
            for name, data in ((f"{row}.npy", stored.getvalue()), (f"{row}.cls", str(row % 3).encode())):
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
