"""What checkpoints cost: training with one every 100 steps beside training with none, interleaved.

python benchmarks/saving.py [--every 100] [--rounds 5] [--steps 300] [spec ...]

Each round trains every spec for so many steps, in whole epochs, once without checkpoints between and once with; the share is the median of the pairs'
extra time. Specs whose data are absent are left out. The steps of a shipped spec take what they take at its own batch size.
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
from aebuild.trainer.account import Account  # noqa: E402
from aebuild.trainer.device import choose_device, environment  # noqa: E402
from aebuild.trainer.display import Quiet  # noqa: E402
from aebuild.trainer.interrupt import Signals  # noqa: E402
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
        self.trainer = Trainer(plan, build(plan), splits, run, Quiet(), device, Signals(), Account(), Manner(save_every=every))
        self.trainer.start()

    def seconds(self, steps: int) -> float:
        """Seconds a step, over at least so many."""
        before, began = self.trainer.progress.total, time.perf_counter()
        self.trainer.loop(before + steps)
        self.trainer.vault.keeper.wait()
        return (time.perf_counter() - began) / (self.trainer.progress.total - before)


def measure(file: Path, every: int, rounds: int, steps: int) -> None:
    try:
        plan = load(file, ["train.device=cpu"]).require()
        splits = plan.spec.data.load(Where(file.parent))
    except AebuildError as error:
        print(f"| {file.stem} | left out: {error} | | |")
        return
    plan = replace(plan, phases=tuple(replace(phase, epochs=100_000, steps=None) for phase in plan.phases[:1]))
    splits = replace(splits, validation=Split(splits.train.x[:0]))
    without, saving = Contender(plan, splits, 10**9), Contender(plan, splits, every)
    pairs = [(without.seconds(steps), saving.seconds(steps)) for _ in range(rounds + 1)][1:]
    shares = [b / a - 1 for a, b in pairs]
    print(f"| {file.stem} | {1000 * statistics.median(a for a, _ in pairs):.2f} | {100 * statistics.median(shares):+.2f} % | "
          f"{100 * min(shares):+.1f} … {100 * max(shares):+.1f} % |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("specs", nargs="*", type=Path, default=sorted(SPECS.glob("*.yaml")))
    options = parser.parse_args()
    print(f"checkpoints every {options.every} steps, {options.rounds} rounds of {options.steps} steps or an epoch\n")
    print("| spec | ms a step | checkpoints cost (median) | range |\n| --- | --: | --: | --- |")
    for file in options.specs:
        measure(file, options.every, options.rounds, options.steps)


if __name__ == "__main__":
    main()
