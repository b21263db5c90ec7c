"""Generated asymmetric specs, each planned, built on the meta device and compared node by node.

    python benchmarks/fuzz_specs.py                       # 10,000 specs, about half an hour on one core
    python benchmarks/fuzz_specs.py --count 2000 --jobs 2

A spec counts if its decoder is not the plain mirror of its encoder. Compared are the types at every module's input and output, names
and shapes of all parameters and buffers, and the multiply-accumulates of every module (torch.utils.flop_counter). Exits with 1 if
anything differs, and says which seed shows it.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "laws")]

from aebuild.compile.front import load  # noqa: E402
from aebuild.compile.plan import Plan  # noqa: E402
from aebuild.compile.spec import Mirror  # noqa: E402
from aebuild.lang.families import Layer  # noqa: E402
from aebuild.lang.node import Node  # noqa: E402
from aebuild.lang.values import Value  # noqa: E402
from specs import seeded  # noqa: E402

FAMILIES = {"linear": "feed-forward", "conv": "convolutional", "conv_transpose": "convolutional", "rnn": "recurrent", "lstm": "recurrent",
            "gru": "recurrent", "transformer": "transformer"}


@dataclass
class Tally:
    """What has been compared, and what differed."""

    specs: int = 0
    skipped: int = 0
    nodes: int = 0
    tensors: int = 0
    parameters: int = 0
    macs: int = 0
    data: Counter[str] = field(default_factory=Counter)
    halves: Counter[tuple[str, str]] = field(default_factory=Counter)
    latents: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Takes in what another one counted."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


def compared(seeds: range) -> Tally:
    """The tally of some seeds."""
    import torch

    from aebuild.results.part_laws.exact_plan import compare

    torch.set_num_threads(1)
    warnings.simplefilter("error")
    tally = Tally()
    for seed in seeds:
        loaded = load("generated.yaml", text=seeded(seed))
        plan = loaded.plan
        if plan is None or loaded.errors:
            tally.failures.append(f"seed {seed} is refused: {[f'{found.code} {found.message}' for found in loaded.errors]}")
        elif is_mirror(plan):
            tally.skipped += 1
        else:
            count(plan, tally)
            tally.failures += [f"seed {seed}: {problem}" for problem in compare(plan)]
    return tally


def is_mirror(plan: Plan) -> bool:
    """True for the plain mirror, which is symmetric."""
    decoder = plan.spec.decoder
    return isinstance(decoder, Mirror) and decoder.widen == 1 and not decoder.deepen


def count(plan: Plan, tally: Tally) -> None:
    nodes = list(plan.nodes())
    tally.specs += 1
    tally.nodes += len(nodes)
    tally.tensors += sum(len(node.weights) + len(node.buffers) for node in nodes)
    tally.parameters += plan.params
    tally.macs += plan.macs
    tally.data[kind_of(plan.input)] += 1
    tally.halves[family_of(plan.encoder), family_of(plan.decoder)] += 1
    tally.latents[str(plan.spec.latent.variant_name())] += 1
    tally.kinds.update({node.kind for node in nodes})


def kind_of(value: Value) -> str:
    return f"grid, {len(value.places)} axes" if value.kind == "grid" else value.kind


def family_of(stage: Node) -> str:
    """The type of a half's written layers, or that it mixes them."""
    parts = [node.part for child in stage.children for node in child.walk() if not node.inserted and ".output" not in node.path]
    written = {FAMILIES[str(part.variant_name())] for part in parts if isinstance(part, Layer) and part.variant_name() in FAMILIES}
    return written.pop() if len(written) == 1 else "mixed" if written else "none"


def batches(start: int, size: int = 25) -> Iterator[range]:
    """Ranges of seeds without end."""
    while True:
        yield range(start, start + size)
        start += size


def main() -> int:
    """Compares until enough specs are done and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    began, tally = time.perf_counter(), Tally()
    with ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn")) as pool:
        ranges = batches(options.seed)
        while tally.specs < options.count:
            left = options.count - tally.specs
            some = [next(ranges) for _ in range(min(8 * options.jobs, -(-left // 18)))]
            for part in pool.map(compared, some):
                tally.add(part)
            print(f"{tally.specs:,} specs, {len(tally.failures)} failures", file=sys.stderr, flush=True)
    report(tally, time.perf_counter() - began)
    print(*tally.failures[:20], sep="\n", file=sys.stderr)
    return 1 if tally.failures else 0


def report(tally: Tally, seconds: float) -> None:
    """The figures as tables."""
    print(f"| asymmetric specs | skipped mirrors | nodes | parameters and buffers | numbers in them | MACs | differences | seconds |\n"
          f"| --: | --: | --: | --: | --: | --: | --: | --: |\n"
          f"| {tally.specs:,} | {tally.skipped:,} | {tally.nodes:,} | {tally.tensors:,} | {tally.parameters:,} | {tally.macs:,} | "
          f"{len(tally.failures)} | {seconds:,.0f} |\n")
    names = sorted({name for pair in tally.halves for name in pair})
    print("encoder \\ decoder | " + " | ".join(names) + "\n--- |" + " --: |" * len(names))
    for encoder in names:
        print(f"{encoder} | " + " | ".join(f"{tally.halves[encoder, decoder]:,}" for decoder in names))
    for title, counter in (("data", tally.data), ("latents", tally.latents), ("specs with a node of this kind", tally.kinds)):
        print(f"\n{title}: " + ", ".join(f"{name} {number:,}" for name, number in counter.most_common()))


if __name__ == "__main__":
    sys.exit(main())
