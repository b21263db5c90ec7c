"""What checkpoints cost: training with one every 100 steps beside training with none.

python benchmarks/saving.py [--every 100] [--checkpoints 5] [--pairs 0] [spec ...]

For every spec: what a checkpoint takes for certain, as a share of the time that the steps up to the next one take to train. *Waiting* is
how long the training thread stands still for its copies; *writer* is the processor time of the thread that writes while training goes on. Their sum
is what training loses where no core is ever idle and it stands still whenever the writer runs. With `--pairs` as many pairs of intervals are trained
besides, one with a checkpoint and one without, in turn and in alternating order: the median of their differences, and the bounds of its 95 % confidence
interval (order statistics). Specs whose data are absent are left out; a shipped spec trains at its own batch size.
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from aebuild.cli.launcher import prepare_process
from aebuild.data.assemble import load_splits

prepare_process()

from aebuild.compile.build import build  # noqa: E402
from aebuild.compile.front import load  # noqa: E402
from aebuild.compile.plan import Plan  # noqa: E402
from aebuild.lang.dataset import Where  # noqa: E402
from aebuild.lang.diagnostics import AebuildError  # noqa: E402
from aebuild.lang.splits import Split, Splits  # noqa: E402
from aebuild.trainer.device import choose_device, environment  # noqa: E402
from aebuild.trainer.job import Job, Manner  # noqa: E402
from aebuild.trainer.loop import Trainer  # noqa: E402
from aebuild.trainer.run_dir.run import Run  # noqa: E402

NEVER = 10**9
SPECS = Path(__file__).parent.parent / "specs"


class Contender:
    """A training that goes on when told to, with or without checkpoints."""

    def __init__(self, plan: Plan, splits: Splits, every: int) -> None:
        run = Run.create("saving", spec="", plan={}, data={}, folder=Path(tempfile.mkdtemp()) / "run")
        device = choose_device("cpu")
        run.write("environment.json", environment(device, 0))
        self.trainer = Trainer(Job(plan, splits, run, manner=Manner(save_every=every)), build(plan), device)
        self.trainer.start()
        self.busy = 0.0            # seconds of processor time in the writer
        write = self.trainer.state.writer._write

        def timed(*given: object) -> float:
            began = time.thread_time()
            took = write(*given)
            self.busy += time.thread_time() - began
            return took

        self.trainer.state.writer._write = timed

    def seconds(self, steps: int) -> float:
        """Seconds a step over so many; a write that still goes on ends before anything else begins."""
        before, began = self.trainer.progress.total, time.perf_counter()
        self.trainer.loop(before + steps)
        took = time.perf_counter() - began
        self.trainer.state.writer.wait()
        return took / (self.trainer.progress.total - before)

    def checkpoint(self, steps: int) -> tuple[float, float]:
        """Seconds that the training thread waits for a checkpoint, and seconds of processor time of its writer while training goes on."""
        busy, began = self.busy, time.perf_counter()
        self.trainer.save(wait=False)
        waited = time.perf_counter() - began
        self.seconds(steps)
        return waited, self.busy - busy


def read(file: Path, batches: int) -> tuple[Plan, Splits]:
    """The first phase of a spec, without end, on so many batches."""
    plan = load(file, ["train.device=cpu"]).require()
    splits = load_splits(plan.spec.data, Where(file.parent))
    plan = replace(plan, phases=tuple(replace(phase, epochs=100_000, steps=None, patience=None) for phase in plan.phases[:1]))
    several = batches * plan.phases[0].batch_size
    train = Split(*(None if part is None else part[:several] for part in (splits.train.x, splits.train.labels, splits.train.target)))
    return plan, replace(splits, train=train, validation=Split(splits.train.x[:0]))


def measure(file: Path, every: int, checkpoints: int, pairs: int) -> None:
    try:
        plan, splits = read(file, 3)
    except AebuildError as error:
        print(f"| {file.stem} | left out: {error} | | | | | |")
        return
    alone = Contender(plan, splits, NEVER)
    alone.seconds(3)
    few = every if pairs else min(every, max(3, round(0.5 / alone.seconds(3))))
    plan, splits = read(file, few)                          # the trainer stops at the end of an epoch
    alone = Contender(plan, splits, NEVER)
    alone.seconds(few)
    step = statistics.median(alone.seconds(few) for _ in range(checkpoints))
    alone.checkpoint(few)
    found = [alone.checkpoint(few) for _ in range(checkpoints)]
    waited, busy = (statistics.median(column) / (every * step) for column in zip(*found, strict=True))
    size = sum(file.stat().st_size for file in max(alone.trainer.run.folder.glob("checkpoints/step-*"), key=lambda folder: folder.stat().st_mtime).iterdir())
    told = ""
    if pairs:
        saving = Contender(plan, splits, every)
        saving.seconds(every)
        both = []
        for number in range(pairs):
            turns = (alone, saving) if number % 2 else (saving, alone)
            times = {contender is saving: contender.seconds(every) for contender in turns}
            both.append(times[True] / times[False] - 1)
        told = " | ".join(f"{100 * share:+.2f} %" for share in (statistics.median(both), *bounds(both)))
    print(f"| {file.stem} | {1000 * step:.1f} | {size / 1e6:.1f} | {100 * waited:.2f} % | {100 * busy:.2f} % | {100 * (waited + busy):.2f} % | {told} |", flush=True)


def bounds(values: list[float]) -> tuple[float, float]:
    """Order statistics between which the median lies with at least 95 % (binomial)."""
    ordered, n = sorted(values), len(values)
    tail, rank = 0.0, 0
    while rank < n // 2 and tail + math.comb(n, rank) / 2 ** n <= 0.025:
        tail += math.comb(n, rank) / 2 ** n
        rank += 1
    return ordered[max(0, rank - 1)], ordered[n - max(1, rank)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=100)
    parser.add_argument("--checkpoints", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=0)
    parser.add_argument("specs", nargs="*", type=Path, default=sorted(SPECS.glob("*.yaml")))
    options = parser.parse_args()
    print(f"checkpoints every {options.every} steps\n")
    print("| spec | ms a step | MB a checkpoint | waiting | writer | sum | pairs: median | from | to |\n"
          "| --- | --: | --: | --: | --: | --: | --: | --: | --: |")
    for file in options.specs:
        measure(file, options.every, options.checkpoints, options.pairs)


if __name__ == "__main__":
    main()
