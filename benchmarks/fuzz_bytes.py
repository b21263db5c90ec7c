"""Any bytes given to validation end in diagnostics: no exception, and none takes a second.

    python benchmarks/fuzz_bytes.py                    # 100,000 inputs, about ten minutes on one core
    python benchmarks/fuzz_bytes.py --count 20000 --seed 7

A quarter each of random bytes, damaged specs, spliced specs, and specs with hostile values. Real specs are those under `specs/`
and generated ones. Exits with 1 if an input raised or took longer than a second, and says how to repeat it.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "laws")]

from generation.inputs import KINDS, numbered, real_specs  # noqa: E402

from aebuild.compile.front import load  # noqa: E402

LIMIT = 1.0          # seconds of the processor for one input
@dataclass
class Figures:
    """What came of the inputs of one kind."""

    count: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    fine: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


def try_one(data: bytes, figures: Figures, name: str) -> None:
    """Validates one input and keeps the figures."""
    began = time.process_time()
    try:
        loaded = load(ROOT / "specs" / "fuzz.yaml", text=data)
        figures.codes.update({found.code for found in loaded.diagnostics})
        figures.fine += loaded.plan is not None and not loaded.errors
        if loaded.plan is None and not loaded.errors:
            figures.failures.append(f"{name}: neither a plan nor an error")
    except BaseException:
        figures.failures.append(f"{name}: {traceback.format_exc(limit=-3)}\n{data[:2000]!r}")
    spent = time.process_time() - began
    figures.count += 1
    figures.seconds += spent
    figures.slowest = max(figures.slowest, spent)
    if spent > LIMIT:
        figures.failures.append(f"{name}: took {spent:.2f} s\n{data[:2000]!r}")


def main() -> int:
    """Tries them all and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0, help="number of the first input; each input depends on its own number alone")
    options = parser.parse_args()
    corpus, tables = real_specs(300), {kind.__name__: Figures() for kind in KINDS}
    for number in range(options.seed, options.seed + options.count):
        kind, data = numbered(number, corpus)
        try_one(data, tables[kind], f"input {number} ({kind})")
    report(tables)
    failures = [failure for figures in tables.values() for failure in figures.failures]
    print(*_distinct(failures), sep="\n\n", file=sys.stderr)
    return 1 if failures else 0


def _distinct(failures: list[str]) -> list[str]:
    """The first failure of each sort, told by the line of code it came from."""
    sorts: dict[str, str] = {}
    for failure in failures:
        lines = [line for line in failure.split("\n") if line.startswith("  File")]
        sorts.setdefault(lines[-1] if lines else failure.split(":")[1][:8], failure)
    return list(sorts.values())


def report(tables: dict[str, Figures]) -> None:
    """The figures as a table."""
    print(f"{'inputs':<14}{'count':>9}{'fine':>9}{'mean ms':>10}{'slowest ms':>12}{'failures':>10}")
    for name, each in tables.items():
        mean = each.seconds / max(1, each.count) * 1e3
        print(f"{name:<14}{each.count:>9,}{each.fine:>9,}{mean:>10.2f}{each.slowest * 1e3:>12.1f}{len(each.failures):>10}")
    codes = sum((each.codes for each in tables.values()), Counter())
    print(f"\n{len(codes)} diagnostic codes seen: " + ", ".join(f"{code} {count:,}" for code, count in sorted(codes.items())))


if __name__ == "__main__":
    sys.exit(main())
