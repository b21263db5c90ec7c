"""Attention within a window, in blocks and masked: seconds and memory of a step as the series grows.

python benchmarks/windows.py [--window 128] [--lengths 1024 4096 16384]

One series, 64 features in 4 heads, forward and backward, one thread; each row in a process of its own, the median of three after one.
`masked` computes all scores by torch's fused kernel and hides most of them. torch's flex_attention has no backward on a CPU (2.13).
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import time

WAYS = ("blocks", "masked")


def step(way: str, length: int, window: int) -> None:
    """Prints seconds and how many MiB the process grew."""
    import torch

    from aebuild.modules.transformer import attend, attend_nearby

    torch.set_num_threads(1)
    q, k, v = (torch.randn(1, 4, length, 16, requires_grad=True) for _ in range(3))
    def once() -> None:
        found = attend_nearby(q, k, v, False, window, window) if way == "blocks" else attend(q, k, v, False, "fused", window=window)
        found.sum().backward()

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    took = []
    for _ in range(4):
        began = time.perf_counter()
        once()
        took.append(time.perf_counter() - began)
    print(f"{statistics.median(took[1:]):.3f} s, {(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024:.0f} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--window", type=int, default=128)
    parser.add_argument("--lengths", type=int, nargs="+", default=[1024, 4096, 16384])
    parser.add_argument("--one", nargs=2, metavar=("WAY", "LENGTH"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        step(options.one[0], int(options.one[1]), options.window)
        return
    print(f"| length | {' | '.join(WAYS)} |\n| --: |{' --: |' * len(WAYS)}")
    for length in options.lengths:
        told = []
        for way in WAYS:
            done = subprocess.run([sys.executable, __file__, "--window", str(options.window), "--one", way, str(length)],
                                  capture_output=True, text=True, check=False)
            told.append(done.stdout.strip() or done.stderr.strip().splitlines()[-1][:60])
        print(f"| {length:,} | {' | '.join(told)} |")


if __name__ == "__main__":
    main()
