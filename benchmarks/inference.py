"""How long encoding and scoring new data take beside the model's bare forward passes, and how much memory.

python benchmarks/inference.py --data $AEBUILD_DATA/mnist --epochs 1
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SPEC = """
name: inference
data: {{type: mnist, root: {root}, limit: 2000}}
encoder: {{layer: conv, width: [16, 32], stride: 2}}
latent: {{type: gaussian, dim: 16}}
losses: {{reconstruction: bernoulli}}
train: {{epochs: 1, batch_size: 64}}
"""


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--root", required=True, help="the folder that holds mnist/")
    words.add_argument("--rounds", type=int, default=3)
    words.add_argument("--child", help=argparse.SUPPRESS)
    asked = words.parse_args()
    if asked.child:
        print(peak(asked.child, asked.root))
        return
    import aebuild

    with tempfile.TemporaryDirectory() as folder:
        run = aebuild.train(_spec(folder, asked.root), folder=f"{folder}/run").run
        bare, encode, score = measured(run, asked.root, asked.rounds)
        print("| 60,000 images | seconds | ratio to its bare passes |\n| --- | ---: | ---: |")
        for name, spent, beside in (("encode", encode, bare[0]), ("score", score, bare[1])):
            print(f"| {name} | {spent:.2f} | {spent / beside:.2f} |")
        for count in (10_000, 60_000):
            command = [sys.executable, __file__, "--root", asked.root, "--child", f"{run}:{count}"]
            print(f"peak memory while {count:,} images are encoded: {subprocess.check_output(command, text=True).strip()} MiB")


def _spec(folder: str, root: str) -> str:
    path = Path(folder) / "spec.yaml"
    path.write_text(SPEC.format(root=Path(root).absolute()))
    return str(path)


def measured(run: Path, root: str, rounds: int) -> tuple[tuple[float, float], float, float]:
    """The least seconds of bare encoder passes and whole passes, of `encode` and of `score`, in turns."""
    import torch

    from aebuild import open_run

    opened = open_run(run)
    new = opened.new(Path(root) / "mnist" / "train-images-idx3-ubyte.gz")
    x = torch.from_numpy(new.split.inputs.scaled(new.split.inputs.take(torch.arange(len(new)).numpy())))
    opened.score(new)
    model, size = opened.model, 4 * opened.plan.model_phase.batch_size

    @torch.no_grad()
    def passes(whole: bool) -> None:
        for start in range(0, len(x), size):
            code = model.encode(x[start:start + size])
            if whole:
                model.likelihood(model.parameters_of(code.value), x[start:start + size])

    kinds = (lambda: passes(False), lambda: passes(True), lambda: opened.encode(new), lambda: opened.score(new))
    best = [float("inf")] * 4
    for _ in range(rounds):
        for place, kind in enumerate(kinds):
            begun = time.perf_counter()
            kind()
            best[place] = min(best[place], time.perf_counter() - begun)
    return (best[0], best[1]), best[2], best[3]


def peak(asked: str, root: str) -> str:
    """MiB of a process that encodes so many images as a user would."""
    from aebuild import open_run
    from aebuild.results.inference.codes import write_codes

    run, count = asked.rsplit(":", 1)
    opened = open_run(run)
    new = opened.new(Path(root) / "mnist" / "train-images-idx3-ubyte.gz")
    new.split.inputs.shape = (int(count), *new.split.inputs.shape[1:])
    with tempfile.TemporaryDirectory() as folder:
        write_codes(opened, new, Path(folder) / "codes.npy")
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f}"


if __name__ == "__main__":
    main()
