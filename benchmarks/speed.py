"""Training speed of aebuild beside a hand-written loop, Lightning and pythae, interleaved in one run.

python benchmarks/speed.py [--rounds 9] [--seconds 2] [--contenders hand,exact,auto,lightning,pythae] [model ...]

Needs MNIST and ECG5000 under AEBUILD_DATA; Lightning and pythae take part if they are installed. Each contender is a process of its own,
started as its users start it; one trains while the others wait. In each round every contender trains for some seconds on the
same module and data, and its samples a second are divided by the hand-written loop's of that round. The median of these ratios counts.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
MODELS = ["mlp_vae", "conv_vae", "vqvae", "transformer_ae", "lstm_ae"]
CONTENDERS = {"hand": None, "exact": None, "auto": None, "lightning": "lightning", "pythae": "pythae"}


class Contender:
    """A process that trains when told to."""

    def __init__(self, kind: str, model: str) -> None:
        self.kind = kind
        self.began = time.perf_counter()
        self.process = subprocess.Popen([sys.executable, __file__, "--worker", kind, model], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.start = self._told()
        self.start["first step"] = time.perf_counter() - self.began

    def _told(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                told: dict[str, Any] = json.loads(line)
                return told
        raise SystemExit(f"{self.kind} ended: {self.process.wait()}")

    def run(self, seconds: float) -> dict[str, Any]:
        """Trains for about so many seconds: samples, wall and CPU seconds, peak memory."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        return self._told()

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def compare(model: str, kinds: list[str], rounds: int, seconds: float) -> dict[str, float]:
    contenders = {kind: Contender(kind, model) for kind in kinds if not (kind == "pythae" and model not in ("mlp_vae", "conv_vae", "vqvae"))}
    rows: dict[str, list[dict[str, Any]]] = {kind: [] for kind in contenders}
    for number in range(rounds + 1):
        for kind, contender in contenders.items():
            told = contender.run(seconds)
            if number:
                rows[kind].append(told)
    medians = {}
    for kind, contender in contenders.items():
        speeds = [row["samples"] / row["wall"] for row in rows[kind]]
        ratios = [own / (hand["samples"] / hand["wall"]) for own, hand in zip(speeds, rows["hand"], strict=True)]
        cpu = [(hand["cpu"] / hand["samples"]) / (row["cpu"] / row["samples"]) for row, hand in zip(rows[kind], rows["hand"], strict=True)]
        medians[kind] = statistics.median(ratios)
        print(f"| {model} | {kind} | {statistics.median(speeds):,.0f} | {medians[kind]:.2f} | {min(ratios):.2f}–{max(ratios):.2f} | "
              f"{statistics.median(cpu):.2f} | {contender.start['first step']:.1f} | {rows[kind][-1]['peak'] / 2**20:,.0f} | "
              f"{contender.start.get('note', '')} |", flush=True)
        contender.close()
    return medians


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--contenders", default=",".join(kind for kind, needs in CONTENDERS.items() if needs is None or find_spec(needs)))
    parser.add_argument("models", nargs="*", default=MODELS)
    options = parser.parse_args()
    kinds = options.contenders.split(",")
    import torch

    print(f"{platform.machine()} CPU, {torch.get_num_threads()} threads, torch {torch.__version__}, {options.rounds} rounds of {options.seconds:g} s\n")
    print("| model | contender | samples/s | ratio to hand (median) | range | CPU time ratio | first step, s | peak MiB | |\n"
          "| --- | --- | --: | --: | --- | --: | --: | --: | --- |")
    found = {model: compare(model, kinds, options.rounds, options.seconds) for model in options.models}
    print("\n| contender | geometric mean of the ratios | models |\n| --- | --: | --- |")
    for kind in kinds:
        ratios = {model: medians[kind] for model, medians in found.items() if kind in medians}
        if ratios:
            print(f"| {kind} | {math.exp(statistics.fmean(map(math.log, ratios.values()))):.2f} | {', '.join(ratios)} |")


# What follows runs in the workers.


def work(kind: str, name: str) -> None:
    if kind in ("exact", "auto"):
        from aebuild.cli.launcher import prepare_process

        prepare_process()
    import resource

    train, size, note = {"hand": by_hand, "exact": by_aebuild, "auto": by_aebuild, "lightning": by_lightning, "pythae": by_pythae}[kind](kind, name)
    began = time.perf_counter()
    once = train(1)
    once = (time.perf_counter() - began) / once
    print(json.dumps({"note": note}), flush=True)
    for line in sys.stdin:
        batches = max(1, round(float(line) / once))
        began, cpu = time.perf_counter(), time.process_time()
        done = train(batches)          # whole epochs, where the trainer stops at nothing else
        wall = getattr(train, "seconds", time.perf_counter() - began)
        once = wall / done
        print(json.dumps({"samples": done * size, "wall": wall, "cpu": time.process_time() - cpu,
                          "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}), flush=True)


def loaded(name: str) -> Any:
    from aebuild.compile.front import load

    plan = load(HERE / "models" / f"{name}.yaml").require()
    from dataclasses import replace

    from aebuild.data.assemble import load_splits
    from aebuild.lang.dataset import Where
    from aebuild.lang.splits import Split

    splits = load_splits(plan.spec.data, Where(HERE / "models"))
    size = plan.phases[0].batch_size
    whole = len(splits.train.x) // size * size           # every batch is full, for every contender
    return plan, replace(splits, train=Split(splits.train.x[:whole]), validation=Split(splits.validation.x[:0]))


def loss_of(plan: Any, terms: Any) -> Any:
    """The same weighted sum for all: every term's mean over the batch."""
    weights = {term.name: float(term.config.weight) for term in plan.terms}
    return sum(weights[name] * raw.mean() for name, raw in terms.items())


def by_hand(kind: str, name: str) -> Any:
    """What a researcher writes: a permutation, slices of it, loss, backward, step."""
    import torch

    from aebuild.compile.build import build
    from aebuild.modules.outputs import Batch

    plan, splits = loaded(name)
    model = build(plan).train()
    data, size = torch.from_numpy(splits.train.x), plan.phases[0].batch_size
    optimizer = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[plan.spec.train.optimizer.variant_name()](
        model.parameters(), lr=plan.spec.train.optimizer.lr)
    place = {"order": torch.randperm(len(data)), "at": 0}

    def train(batches: int) -> int:
        for _ in range(batches):
            if place["at"] >= len(data):
                place.update(order=torch.randperm(len(data)), at=0)
            x = data[place["order"][place["at"]:place["at"] + size]]
            place["at"] += size
            optimizer.zero_grad()
            loss = loss_of(plan, model.terms(Batch(x, x))[0])
            loss.backward()
            if plan.spec.train.clip is not None:
                torch.nn.utils.clip_grad_norm_(model.parameters(), plan.spec.train.clip)
            optimizer.step()
        return batches

    return train, size, ""


def by_aebuild(kind: str, name: str) -> Any:
    """The trainer as `aebuild train` runs it."""
    import tempfile

    from aebuild.compile.build import build
    from aebuild.trainer.device import choose_device, environment
    from aebuild.trainer.job import Job
    from aebuild.trainer.loop import Trainer
    from aebuild.trainer.run_dir.run import Run
    from aebuild.trainer.speed.autotune import choose_execution
    from aebuild.trainer.speed.fallback import computed_by

    plan, splits = loaded(name)
    plan.spec.__dict__["train"] = plan.spec.train.but(speed=kind)
    run = Run.create(name, spec="", plan={}, data={}, folder=Path(tempfile.mkdtemp()) / "run")
    device = choose_device("cpu")
    run.write("environment.json", environment(device, 0))
    trainer = Trainer(Job(plan, splits, run), build(plan), device)
    execution = choose_execution(trainer, resume=False, given=None)
    trainer.start()

    def train(batches: int) -> int:
        before = trainer.progress.total
        with computed_by(trainer, execution):
            trainer.loop(before + batches)
        return trainer.progress.total - before

    return train, plan.phases[0].batch_size, str(execution)


def by_lightning(kind: str, name: str) -> Any:
    """A LightningModule around the same module, in whole epochs; the time is that of its training loop alone."""
    import logging
    import warnings

    import lightning
    import torch

    from aebuild.compile.build import build
    from aebuild.modules.outputs import Batch

    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    plan, splits = loaded(name)
    size = plan.phases[0].batch_size

    class Wrapped(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = build(plan)

        def training_step(self, batch: Any, _: int) -> Any:
            return loss_of(plan, self.model.terms(Batch(batch[0], batch[0]))[0])

        def configure_optimizers(self) -> Any:
            return {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[plan.spec.train.optimizer.variant_name()](
                self.parameters(), lr=plan.spec.train.optimizer.lr)

    class Clock(lightning.Callback):
        def on_train_start(self, *_: Any) -> None:
            self.began = time.perf_counter()

        def on_train_end(self, *_: Any) -> None:
            train.seconds = time.perf_counter() - self.began  # type: ignore[attr-defined]

    wrapped = Wrapped()
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.from_numpy(splits.train.x)), size, shuffle=True)

    each = len(splits.train) // size

    def train(batches: int) -> int:
        epochs = max(1, round(batches / each))
        lightning.Trainer(accelerator="cpu", max_epochs=epochs, logger=False, enable_checkpointing=False, enable_progress_bar=False,
                          enable_model_summary=False, callbacks=[Clock()], gradient_clip_val=plan.spec.train.clip).fit(wrapped, loader)
        return epochs * each

    return train, size, ""


def by_pythae(kind: str, name: str) -> Any:
    """pythae's own VAE or VQ-VAE and trainer around the same encoder and decoder."""
    import logging
    import tempfile

    import torch
    from pythae.data.datasets import BaseDataset
    from pythae.models import VAE, VQVAE, VAEConfig, VQVAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    from aebuild.compile.build import build

    logging.disable(logging.CRITICAL)
    plan, splits = loaded(name)
    model, size = build(plan), plan.phases[0].batch_size
    discrete = name == "vqvae"

    class Encoder(BaseEncoder):
        def __init__(self) -> None:
            super().__init__()
            self.network, self.latent = model.encoder, model.latent

        def forward(self, x: Any) -> Any:
            h = self.network(x)
            if discrete:
                return ModelOutput(embedding=self.latent.project(h))
            mean, log_var = (torch.nn.Module.__call__(part, h) for part in self._heads())
            return ModelOutput(embedding=mean, log_covariance=log_var)

        def _heads(self) -> Any:
            return self.mean, self.spread

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.network = model.decoder

        def forward(self, z: Any) -> Any:
            return ModelOutput(reconstruction=self.network(z).sigmoid())

    encoder = Encoder()
    if not discrete:
        features = math.prod(model.encoder(torch.zeros(2, *splits.train.x.shape[1:])).shape[1:])
        dim = plan.latent.values
        encoder.mean = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(features, dim))
        encoder.spread = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(features, dim))
    shape = tuple(splits.train.x.shape[1:])
    if discrete:
        made = VQVAE(VQVAEConfig(input_dim=shape, latent_dim=64, num_embeddings=512, use_ema=True, decay=0.99), encoder, Decoder())
    else:
        made = VAE(VAEConfig(input_dim=shape, latent_dim=dim, reconstruction_loss="bce"), encoder, Decoder())
    x = torch.from_numpy(splits.train.x)
    trainer = BaseTrainer(made, BaseDataset(x, torch.zeros(len(x))), None, BaseTrainerConfig(
        output_dir=tempfile.mkdtemp(), num_epochs=1, per_device_train_batch_size=size, learning_rate=1e-3, no_cuda=True))
    trainer.prepare_training()
    each = len(x) // size

    def train(batches: int) -> int:
        epochs = max(1, round(batches / each))
        for epoch in range(epochs):
            trainer.train_step(epoch)
        return epochs * each

    return train, size, ""


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        os.environ.setdefault("TQDM_DISABLE", "1")
        work(*sys.argv[2:4])
    else:
        main()
