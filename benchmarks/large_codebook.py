"""A codebook of 65,536 × 64 over 16 × 1,024 positions: seconds of a training step and memory, beside vector-quantize-pytorch.

    OMP_NUM_THREADS=1 python benchmarks/large_codebook.py --samples 16 --rounds 5 --limit 15

Each quantizer is a process of its own that trains a linear layer in front of the codebook: forward pass, loss, backward pass and what moves the
entries, by running averages in both. The processes take their steps in turn, one at a time, so that whatever else the machine does meets
them alike. `memory` is the greatest resident set of a process above what it held before its first step, when codebook, averages and vectors
were there. A process that wants more than `--limit` GiB of address space is stopped and told as `too large`; vector-quantize-pytorch, which
holds positions × codes several times, wants 17 GiB at 16 samples, so `--samples 4` compares speeds on smaller machines.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

POSITIONS, FEATURES, CODES = 1024, 64, 65_536
WAYS = ("aebuild ema", "aebuild gradient", "aebuild residual", "aebuild lfq", "vector-quantize-pytorch")


def held() -> float:
    """MiB of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def peak() -> float:
    """The most MiB that it held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def quantizer(way: str) -> Any:
    """A module from [N, 1024, features] to (value, loss)."""
    from torch import nn

    if way == "vector-quantize-pytorch":
        from vector_quantize_pytorch import VectorQuantize

        module = VectorQuantize(FEATURES, CODES, decay=0.99, threshold_ema_dead_code=0)
        return nn.ModuleList([module]), lambda x: (lambda found: (found[0], found[2].sum()))(module(x))
    from aebuild.modules.binary_codes import BinaryLatent
    from aebuild.modules.codebook import CodebookLatent
    from aebuild.modules.codebook_updates import Ema, Restart
    from aebuild.modules.residual_codebook import ResidualLatent

    shape, steps = (POSITIONS, FEATURES), {"projection": nn.Identity()}
    latent: Any
    if way == "aebuild lfq":
        latent = BinaryLatent(steps, (POSITIONS, 16), -1)
    elif way == "aebuild residual":
        latent = ResidualLatent(steps, shape, -1, CODES // 16, levels=16, restart=Restart(16, CODES // 16, None, 0.99), initialise=True)
    else:
        ema = Ema(1, CODES, FEATURES, 0.99, 1e-5) if way == "aebuild ema" else None
        latent = CodebookLatent(steps, shape, -1, CODES, ema=ema, restart=Restart(1, CODES, None, 0.99), initialise=True)

    def run(x: Any) -> Any:
        code = latent(x[..., :16] if way == "aebuild lfq" else x)
        return code.value, sum(raw.sum() for raw in code.terms.values()) / x.numel()
    return latent, run


def work(way: str, samples: int, limit: float) -> None:
    """Trains a step for each line of stdin, and prints its seconds; at its end the memory."""
    import torch

    torch.manual_seed(0)
    x = torch.randn(samples, POSITIONS, FEATURES)
    front = torch.nn.Linear(FEATURES, FEATURES)
    module, run = quantizer(way)
    module.train()
    optimizer = torch.optim.Adam([*front.parameters(), *module.parameters()], lr=1e-3)
    before = held()
    resource.setrlimit(resource.RLIMIT_AS, (int(limit * 2**30),) * 2)
    for _ in sys.stdin:
        start = time.perf_counter()
        try:
            value, loss = run(front(x))
            (loss + value.square().mean()).backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        except (RuntimeError, MemoryError):
            print(json.dumps({"failed": "too large"}), flush=True)
            return
        print(json.dumps({"seconds": time.perf_counter() - start, "memory": peak() - before}), flush=True)


def compare(samples: int, rounds: int, limit: float, ways: tuple[str, ...]) -> list[str]:
    """Lines of a table; the first step, in which codebooks are placed, is told apart."""
    started = {way: subprocess.Popen([sys.executable, __file__, "--worker", way, "--samples", str(samples), "--limit", str(limit)],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for way in ways}
    told: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
    for _ in range(rounds + 1):
        for way, process in started.items():
            if told[way] and "failed" in told[way][-1]:
                continue
            assert process.stdin and process.stdout
            process.stdin.write("step\n")
            process.stdin.flush()
            told[way].append(json.loads(process.stdout.readline() or '{"failed": "killed"}'))
    for process in started.values():
        process.communicate()
    return [row(way, steps) for way, steps in told.items()]


def row(way: str, steps: list[dict[str, Any]]) -> str:
    """A way's line."""
    if "failed" in steps[-1]:
        return f"| {way} | {steps[-1]['failed']} | | |"
    seconds = [step["seconds"] for step in steps]
    return f"| {way} | {seconds[0]:.2f} | {statistics.median(seconds[1:]):.2f} | {steps[-1]['memory']:,.0f} |"


def main() -> None:
    """The table for one number of samples."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit", type=float, default=15.0, help="GiB of address space")
    parser.add_argument("--ways", nargs="+", default=WAYS)
    parser.add_argument("--worker")
    given = parser.parse_args()
    if given.worker:
        work(given.worker, given.samples, given.limit)
        return
    print(f"{given.samples} × {POSITIONS:,} positions, {CODES:,} × {FEATURES}\n")
    print("| | first step, s | step, s | memory above the parameters, MiB |\n| --- | ---: | ---: | ---: |")
    print("\n".join(compare(given.samples, given.rounds, given.limit, tuple(given.ways))))


if __name__ == "__main__":
    main()
