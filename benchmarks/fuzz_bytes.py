"""Any bytes given to validation end in diagnostics: no exception, and none takes a second.

    python benchmarks/fuzz_bytes.py                    # 100,000 inputs, about ten minutes on one core
    python benchmarks/fuzz_bytes.py --count 20000 --seed 7

A quarter each of random bytes, damaged specs, spliced specs, and specs with hostile values. Real specs are those under `specs/`
and generated ones. Exits with 1 if an input raised or took longer than a second, and says how to repeat it.
"""

from __future__ import annotations

import argparse
import copy
import random
import re
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "laws")]

from aebuild.compile.front import load  # noqa: E402
from specs import seeded  # noqa: E402

LIMIT = 1.0          # seconds of the processor for one input
MOST = 4096          # random bytes
HOSTILE = ("&a [*a]", "*a", "<<: {a: 1}", "!!python/object/apply:os.system ['true']", "!tag x", "%YAML 1.1", "---", "...", "? a\n: b", "|\n  x",
           ">-\n  x", "'", '"', "\t", "\x00", "\ufeff", "\u2028", "\u202e", "\ud7ff", "🙂", "[" * 200, "{a: " * 100, "a: " * 40, "1e999", "-0", "0x_", "010",
           ".inf", ".nan", "12:30", "null", "~", "yes", "9" * 400, "-9223372036854775808", "1e-400", "#", "]", "}", ",", ":", "- - - -")
NUMBERS = ("0", "-1", "1", "2", "7", "0.5", "1e-30", "1e30", "65537", "1000000", "2147483647", "9223372036854775807", "-9223372036854775808", "1.7e308")
NUMBER = re.compile(rb"-?\d+(\.\d+)?")
WORD = re.compile(rb"[A-Za-z_]{3,}")


@dataclass
class Figures:
    """What came of the inputs of one kind."""

    count: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    fine: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


def random_bytes(draw: random.Random, corpus: list[bytes]) -> bytes:
    """Noise: of all bytes, of printable ones, or of YAML's own."""
    alphabet = draw.choice((bytes(range(256)), bytes(range(32, 127)), b"[]{}:,-#&*!|>'\"%@`? \n\tab01."))
    return bytes(draw.choices(alphabet, k=draw.randrange(draw.choice((8, 64, 512, MOST)))))


def damaged(draw: random.Random, corpus: list[bytes]) -> bytes:
    """A spec with bytes flipped, cut out, doubled or moved."""
    text = bytearray(draw.choice(corpus))
    for _ in range(draw.choice((1, 1, 2, 4, 16))):
        at, length = draw.randrange(len(text) + 1), draw.choice((1, 1, 2, 8, 40))
        action = draw.randrange(5)
        if action == 0 and at < len(text):
            text[at] = draw.randrange(256)
        elif action == 1:
            del text[at:at + length]
        elif action == 2:
            text[at:at] = text[at:at + length]
        elif action == 3:
            text[at:at] = draw.choice(HOSTILE).encode("utf-8", "surrogatepass")
        else:
            text = text[:at] if draw.random() < 0.2 else text[at:] + text[:at]
    return bytes(text)


def spliced(draw: random.Random, corpus: list[bytes]) -> bytes:
    """Lines of several specs in some order and indentation, or a spec with values of another one in it."""
    if draw.random() < 0.7:
        return grafted(draw, corpus)
    lines = [line for text in draw.sample(corpus, 3) for line in text.split(b"\n")]
    chosen = [draw.choice(lines) for _ in range(draw.randrange(1, 40))] if draw.random() < 0.5 else lines
    for _ in range(draw.randrange(1, 6)):
        at = draw.randrange(len(chosen))
        chosen[at] = draw.choice((b"  " + chosen[at], chosen[at].lstrip(), b"- " + chosen[at].lstrip(), chosen[at] + draw.choice(lines).lstrip()))
    return b"\n".join(chosen)


def grafted(draw: random.Random, corpus: list[bytes]) -> bytes:
    """A spec in which some values are exchanged for values of another, wherever those stood."""
    tree, other = (yaml.safe_load(draw.choice(corpus)) for _ in range(2))
    for _ in range(draw.randrange(1, 4)):
        holder, key = draw.choice(list(branches(tree)))
        giver, name = draw.choice(list(branches(other)))
        holder[key] = copy.deepcopy(giver[name])
        if isinstance(holder, dict) and draw.random() < 0.3:
            holder[str(name)] = holder.pop(key)
    return yaml.safe_dump(tree, sort_keys=False, default_flow_style=draw.choice((None, True, False)), allow_unicode=True).encode()


def branches(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every value in a tree, as what holds it and its key or position."""
    items = list(tree.items()) if isinstance(tree, dict) else list(enumerate(tree)) if isinstance(tree, list) else []
    for key, value in items:
        yield tree, key
        yield from branches(value)


def hostile(draw: random.Random, corpus: list[bytes]) -> bytes:
    """A spec whose numbers and words are exchanged for absurd ones."""
    text = draw.choice(corpus)
    words = WORD.findall(draw.choice(corpus))
    for _ in range(draw.choice((1, 1, 2, 3))):
        pattern, news = (NUMBER, [new.encode() for new in NUMBERS]) if draw.random() < 0.7 else (WORD, words or [b"x"])
        places = list(pattern.finditer(text))
        if places:
            place = draw.choice(places)
            text = text[:place.start()] + draw.choice(news) + text[place.end():]
    return text


KINDS: tuple[Callable[[random.Random, list[bytes]], bytes], ...] = (random_bytes, damaged, spliced, hostile)


def real_specs(count: int) -> list[bytes]:
    """The shipped specs and as many generated ones."""
    shipped = [path.read_bytes() for path in sorted((ROOT / "specs").rglob("*.yaml"))]
    return [*shipped, *(seeded(seed).encode() for seed in range(count))]


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
        draw = random.Random(number)
        kind = KINDS[number % len(KINDS)]
        try_one(kind(draw, corpus), tables[kind.__name__], f"input {number} ({kind.__name__})")
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
