"""The families of autoencoders that `aebuild advise` weighs, each trained alike: where the grades of its tables come from.

python benchmarks/families.py networks|codes [--steps N] [--seeds N] [--write] [family ...]

Needs MNIST and Fashion-MNIST under AEBUILD_DATA. Networks are compared with a plain code, kinds of code on one network, that of the bake-off.
Within a table every family gets the same images, a code of 20 numbers (the codebook 20 indices), the same steps and batches and one thread. `--write` puts the figures into aebuild/results/advising/measured_families.json, the one place where they are
kept: the grades follow from them by rule, and docs/init.md is checked against them.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from advise import IMAGES_TAKEN, SAMPLES, error, few_images, likeness_of

import aebuild
from aebuild.results.advising.family_grades import FIGURES
from aebuild.results.experiment import train_only
from aebuild.results.open_run import OpenRun
from aebuild.trainer.profiling.flops import step_flops

DIM = 20
DATA = ("mnist", "fashion_mnist")
NARROW = {"layer": "linear", "width": [341, 113], "norm": "batch"}
WIDE = [{"linear": {"width": 512, "activation": "silu"}}, {"linear": {"width": 128, "activation": "none"}}]
ADAM = {"type": "adam", "lr": {"from": 2e-3, "to": 1e-5, "over": "100%", "shape": "cosine"}}
ROWS = {"as": "sequence", "scale": "unit"}          # an image as 28 steps of 28 values
PLAIN = {"type": "continuous", "dim": DIM}


def dense(latent: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The network of the bake-off around a code."""
    return {"encoder": NARROW, "latent": latent, **more}


NETWORKS: dict[str, dict[str, Any]] = {
    "linear": {"encoder": [], "latent": PLAIN, "losses": {"reconstruction": "mse"}},
    "residual": {"encoder": ["flatten", {"residual": WIDE}], "latent": PLAIN, "decoder": [{"residual": WIDE}]},
    "dense": dense(PLAIN),
    "conv": {"encoder": {"layer": "conv", "width": [16, 32], "kernel": 4, "stride": 2}, "latent": PLAIN},
    "recurrent": {"encoder": {"layer": "gru", "width": 128}, "latent": PLAIN, "decoder": {"layer": "gru", "width": 128}},
    "transformer": {"encoder": {"layer": "transformer", "depth": 2, "width": 64}, "latent": PLAIN,
                    "decoder": {"layer": "transformer", "depth": 2, "width": 64}}}
CODES: dict[str, dict[str, Any]] = {
    "plain": dense(PLAIN),
    "denoising": dense(PLAIN, corrupt=[{"gaussian": {"std": 0.5, "clip": [0, 1]}}]),
    "sparse": dense({**PLAIN, "activation": "sigmoid"}, losses={"reconstruction": "bernoulli", "sparsity": {"type": "kl", "target": 0.25}}),
    "vae": dense({"type": "gaussian", "dim": DIM}),
    "beta_vae": dense({"type": "gaussian", "dim": DIM}, losses={"reconstruction": "bernoulli", "kl": 4}),
    "aae": dense({"type": "adversarial", "dim": DIM, "prior": {"type": "gaussian", "std": 1.0},
                  "discriminator": {"layer": "linear", "width": [256, 256]}}),
    "vqvae": dense({"type": "codebook", "codes": 256, "dim": 8 * DIM, "groups": DIM, "per": "sample", "update": "ema"})}
TABLES = {"networks": NETWORKS, "codes": CODES}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=list(TABLES))
    parser.add_argument("names", nargs="*", help="families; all of the table by default")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        for name in options.names or TABLES[options.table]:
            spec = {**TABLES[options.table][name], "name": name}
            found = {data: judged(spec, few_images(data, Path(folder)), options.steps, options.seeds) for data in DATA}
            for data, figures in found.items():
                print(f"{name:12} {data:14} " + "  ".join(f"{key} {value:.4g}" for key, value in figures.items()), flush=True)
            if options.write:
                write(name, found, options)


def write(name: str, found: dict[str, dict[str, float]], options: argparse.Namespace) -> None:
    """Puts a family's figures beside those of its table under the same conditions; under others the table begins anew."""
    conditions = {"command": f"python benchmarks/families.py {options.table} --steps {options.steps} --seeds {options.seeds} --write",
                  "machine": f"one thread of a shared x86-64 CPU, torch {torch.__version__}", "images": IMAGES_TAKEN,
                  "code": DIM, "steps": options.steps, "batch": 128, "seeds": options.seeds}
    tables = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
    before = tables.get(options.table, {})
    families = before.get("families", {}) if all(before.get(key) == value for key, value in conditions.items()) else {}
    families[name] = {data: {key: float(f"{value:.3g}") for key, value in figures.items()} for data, figures in found.items()}
    tables[options.table] = {**conditions, "date": datetime.now().date().isoformat(),
                             "families": {each: families[each] for each in TABLES[options.table] if each in families}}
    FIGURES.write_text(json.dumps({each: tables[each] for each in TABLES if each in tables}, indent=1) + "\n", encoding="utf-8")


def judged(spec: dict[str, Any], data: Path, steps: int, seeds: int) -> dict[str, float]:
    """The figures of a family on data: means over the seeds, and how far the errors lie apart."""
    errors, gaps, likenesses, cost = [], [], [], 0.0
    for seed in range(42, 42 + seeds):
        run, remove = trained(spec, data, steps, seed)
        cost = step_flops(run.plan, run.plan.model_phase) / 1e6
        errors.append(error(run, {}))
        gaps.append(gap(run))
        likenesses.append(likeness_of(run, {}) / 100)
        remove()
    return {"mse": float(np.mean(errors)), "spread": float((max(errors) - min(errors)) / np.mean(errors)),
            "megaflop": cost, "code_gap": float(np.mean(gaps)), "likeness": float(np.mean(likenesses))}


def trained(family: dict[str, Any], data: Path, steps: int, seed: int) -> tuple[OpenRun, Any]:
    """A run of a family, and what removes it."""
    spec = {"losses": {"reconstruction": "bernoulli"}, **family, "data": {"path": str(data), **(ROWS if family["name"] in ("recurrent", "transformer") else {})},
            "train": {"steps": steps, "batch_size": 128, "seed": seed, "speed": "exact", "optimizer": ADAM}}
    if family["name"] == "aae":
        spec["train"]["players"] = {player: {"optimizer": {"type": "adam", "lr": 5e-4}} for player in ("generator", "discriminator")}
    folder = Path(tempfile.mkdtemp())
    run = aebuild.open_run(train_only(aebuild.load(spec), folder))
    return run, lambda: shutil.rmtree(folder)


def gap(run: OpenRun) -> float:
    """How far codes of test images are from what could be said of them before training, 0 to 1.

    Of numbers the Kolmogorov-Smirnov distance to the standard normal, of indices the total variation to even use; means over the code.
    """
    from scipy.stats import kstest

    codes = run.encode(run.own_split("test"), 1 if run.plan.spec.latent.variant_name() == "gaussian" else None)
    columns = codes.array.reshape(len(codes), -1).T[:, :SAMPLES]
    if codes.indices is None:
        return float(np.mean([kstest(column, "norm").statistic for column in columns]))
    entries = run.plan.spec.latent.codes
    return float(np.mean([np.abs(np.bincount(column, minlength=entries) / len(column) - 1 / entries).sum() / 2 for column in columns]))


if __name__ == "__main__":
    main()
