"""What checkpoints cost: training with one every 100 steps beside training with none, interleaved.

python benchmarks/saving.py [--every 100] [--rounds 15] [--seconds 2] [spec ...]

Each round trains every spec for about so many seconds, once without checkpoints and once with, in whole epochs and intervals; the median of the
pairs' extra time is printed with its range. Beside it what a checkpoint takes for certain: how long the training thread waits (copies,
and waiting for the one before), and the writer's own processor time, both as shares of the time that the interval takes to train. Specs whose data are absent
are left out. The steps of a shipped spec take what they take at its own batch size.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from aebuild.cli.launcher import prepare_process

prepare_process()

from aebuild.compile.build import build  # noqa: E402
from aebuild.compile.front import load  # noqa: E402
from aebuild.compile.plan import Plan  # noqa: E402
from aebuild.lang.dataset import Where  # noqa: E402
from aebuild.lang.diagnostics import AebuildError  # noqa: E402
from aebuild.lang.splits import Split, Splits  # noqa: E402
from aebuild.trainer.device import choose_device, environment  # noqa: E402
from aebuild.trainer.job import Job  # noqa: E402
from aebuild.trainer.loop import Trainer  # noqa: E402
from aebuild.trainer.manner import Manner  # noqa: E402
from aebuild.trainer.run import Run  # noqa: E402

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
        write = self.trainer.vault.keeper._write

        def timed(*given: object) -> float:
            began = time.thread_time()
            took = write(*given)
            self.busy += time.thread_time() - began
            return took

        self.trainer.vault.keeper._write = timed

    def steps(self, seconds: float) -> int:
        """Batches in about so many seconds."""
        self.seconds(1)
        return max(1, round(seconds / self.seconds(1)))

    def seconds(self, steps: int) -> float:
        """Seconds a step, over at least so many; a write that is still going on then ends before the other one trains."""
        before, began = self.trainer.progress.total, time.perf_counter()
        self.trainer.loop(before + steps)
        took = time.perf_counter() - began
        self.trainer.vault.keeper.wait()
        return took / (self.trainer.progress.total - before)

    def waited(self) -> float:
        """Seconds that training waited for checkpoints, since the beginning."""
        return self.trainer.account.spent().get("saving", 0.0)


def measure(file: Path, every: int, rounds: int, seconds: float) -> None:
    try:
        plan = load(file, ["train.device=cpu"]).require()
        splits = plan.spec.data.load(Where(file.parent))
    except AebuildError as error:
        print(f"| {file.stem} | left out: {error} | | | | |")
        return
    plan = replace(plan, phases=tuple(replace(phase, epochs=100_000, steps=None) for phase in plan.phases[:1]))
    interval = every * plan.phases[0].batch_size            # samples; an epoch has no more, so that rounds can be short
    train = Split(*(None if part is None else part[:interval] for part in (splits.train.x, splits.train.labels, splits.train.target)))
    splits = replace(splits, train=train, validation=Split(splits.train.x[:0]))
    without, saving = Contender(plan, splits, 10**9), Contender(plan, splits, every)
    steps = max(every, without.steps(seconds))
    saving.seconds(steps)
    before = saving.trainer.progress.total, saving.waited(), saving.busy
    pairs = [(without.seconds(steps), saving.seconds(steps)) for _ in range(rounds)]
    shares = [b / a - 1 for a, b in pairs]
    step = statistics.median(a for a, _ in pairs)
    trained = step * (saving.trainer.progress.total - before[0])
    print(f"| {file.stem} | {1000 * step:.2f} | {100 * statistics.median(shares):+.2f} % | {100 * min(shares):+.1f} … {100 * max(shares):+.1f} % | "
          f"{100 * (saving.waited() - before[1]) / trained:.2f} % | {100 * (saving.busy - before[2]) / trained:.2f} % |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("specs", nargs="*", type=Path, default=sorted(SPECS.glob("*.yaml")))
    options = parser.parse_args()
    print(f"checkpoints every {options.every} steps, {options.rounds} rounds of {options.seconds:g} s\n")
    print("| spec | ms a step | checkpoints cost (median) | range | waiting | writer's processor time |\n| --- | --: | --: | --- | --: | --: |")
    for file in options.specs:
        measure(file, options.every, options.rounds, options.seconds)


if __name__ == "__main__":
    main()
