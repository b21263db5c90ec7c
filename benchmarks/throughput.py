"""Training throughput beside a hand-written PyTorch loop over the same module and data, interleaved.

python benchmarks/throughput.py [--rounds 9] [--samples 12800] [--threads 1] [--device cpu] [spec ...]

Needs MNIST under AEBUILD_DATA. Each round trains one epoch by hand and one by aebuild; the ratio is aebuild's samples per second over the
hand-written loop's, pair by pair, and the median is what counts.
"""

from __future__ import annotations

import argparse
import copy
import platform
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

from aebuild.compile.build import build
from aebuild.compile.front import load
from aebuild.compile.plan import Plan
from aebuild.lang.dataset import Where
from aebuild.lang.schedule import value_at
from aebuild.lang.splits import Split
from aebuild.modules.autoencoder import Autoencoder, Batch
from aebuild.trainer.display import Quiet
from aebuild.trainer.interrupt import Signals
from aebuild.trainer.loop import Trainer
from aebuild.trainer.run import Run

SPECS = Path(__file__).parent.parent / "specs"


class ByHand:
    """What a researcher writes: a permutation, slices of it, loss, backward, step."""

    def __init__(self, plan: Plan, model: Autoencoder, split: Split, device: torch.device) -> None:
        self.model = model.to(device).train()
        self.data = torch.from_numpy(split.x).to(device)
        self.optimizer = torch.optim.Adam(model.parameters(), lr=float(plan.spec.train.optimizer.lr))  # type: ignore[arg-type]
        self.batch_size = plan.phases[0].batch_size
        self.weights = {term.name: value_at(term.config.weight, 10**9, 1, 1) for term in plan.terms}
        self.device = device

    def epoch(self) -> None:
        order = torch.randperm(len(self.data), device=self.device)
        for start in range(0, len(order), self.batch_size):
            x = self.data[order[start:start + self.batch_size]]
            self.optimizer.zero_grad()
            terms, _ = self.model.terms(Batch(x, x))
            loss = torch.stack([self.weights[name] * raw.sum() / len(x) for name, raw in terms.items()]).sum()
            loss.backward()
            self.optimizer.step()


def measure(name: str, rounds: int, samples: int, device: torch.device) -> None:
    loaded = load(SPECS / f"{name}.yaml", ["data=mnist", f"data.limit={samples}", "train.epochs=100000",
                                           f"train.batch_size={256 if name != 'deep' else 100}"])
    plan = loaded.require()
    splits = replace(plan.spec.data.load(Where(SPECS)), validation=None)
    model = build(plan)
    by_hand = ByHand(plan, copy.deepcopy(model), splits.train, device)
    with tempfile.TemporaryDirectory() as folder, Signals() as signals, Run.create(
            name, spec="", plan={}, data={}, folder=Path(folder) / "run") as run:
        trainer = Trainer(plan, model, splits, run, Quiet(), device, signals)
        trainer.start()
        rows = []
        for i in range(rounds + 1):
            pair = [timed(by_hand.epoch, device), timed(lambda: trainer.loop(trainer.progress.total + 1), device)]
            if i:
                rows.append(pair)
    wall = [hand[0] / ours[0] for hand, ours in rows]
    cpu = [hand[1] / ours[1] for hand, ours in rows]
    rates = [samples / statistics.median(part[k][0] for part in rows) for k in (0, 1)]
    print(f"| {name} | {rates[0]:,.0f} | {rates[1]:,.0f} | {statistics.median(wall):.3f} | {min(wall):.3f}–{max(wall):.3f} | "
          f"{statistics.median(cpu):.3f} |", flush=True)


def timed(work: object, device: torch.device) -> tuple[float, float]:
    began, cpu = time.perf_counter(), time.process_time()
    work()  # type: ignore[operator]
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began, time.process_time() - cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--samples", type=int, default=12_800)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("specs", nargs="*", default=["deep", "conv_vae", "vqvae"])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    where = torch.cuda.get_device_name() if device.type == "cuda" else f"{platform.machine()} CPU, {options.threads} thread(s)"
    print(f"{where}, torch {torch.__version__}, {options.samples:,} samples an epoch, {options.rounds} rounds\n")
    print("| spec | by hand, samples/s | aebuild, samples/s | ratio (median) | range | CPU ratio |\n| --- | --: | --: | --: | --- | --: |")
    for name in options.specs:
        measure(name, options.rounds, options.samples, device)


if __name__ == "__main__":
    main()
