"""How much of a codebook that is prone to collapse stays in use: `specs/codebook/large_codebook.yaml` with its defaults and without restarts.

    OMP_NUM_THREADS=1 python benchmarks/codebook_usage.py --seeds 5

`usage` is the share of entries that the test split uses at all, `perplexity` exp(entropy) of how often.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from aebuild import train
from aebuild.compile.front import load

SPEC = Path(__file__).parents[1] / "specs" / "codebook" / "large_codebook.yaml"
WAYS = {"defaults": [], "restart: none": ["latent.restart=none"], "init: normal": ["latent.init=normal"],
        "init: normal, restart: none": ["latent.init=normal", "latent.restart=none"]}


def main() -> None:
    """A line for each way and seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    seeds = parser.parse_args().seeds
    print("| | seed | usage | perplexity | cross-entropy |\n| --- | ---: | ---: | ---: | ---: |")
    for way, settings in WAYS.items():
        for seed in range(seeds):
            with tempfile.TemporaryDirectory() as folder:
                done = train(load(str(SPEC), [*settings, f"train.seed={seed}"]), folder=Path(folder) / "run").evaluation.model
            print(f"| {way} | {seed} | {done.metrics['usage']:.1%} | {done.metrics['perplexity']:.0f} | {done.terms['reconstruction']:.2f} |", flush=True)


if __name__ == "__main__":
    main()
