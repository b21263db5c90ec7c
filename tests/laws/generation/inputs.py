"""Inputs that validation must survive: noise, damaged specs, spliced specs, absurd values."""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from specs import seeded

ROOT = Path(__file__).parents[3]
MOST = 4096          # random bytes
HOSTILE = ("&a [*a]", "*a", "<<: {a: 1}", "!!python/object/apply:os.system ['true']", "!tag x", "%YAML 1.1", "---", "...", "? a\n: b", "|\n  x",
           ">-\n  x", "'", '"', "\t", "\x00", "\ufeff", "\u2028", "\u202e", "\ud7ff", "🙂", "[" * 200, "{a: " * 100, "a: " * 40, "1e999", "-0", "0x_", "010",
           ".inf", ".nan", "12:30", "null", "~", "yes", "9" * 400, "-9223372036854775808", "1e-400", "#", "]", "}", ",", ":", "- - - -")
NUMBERS = ("0", "-1", "1", "2", "7", "0.5", "1e-30", "1e30", "65537", "1000000", "2147483647", "9223372036854775807", "-9223372036854775808", "1.7e308")
NUMBER = re.compile(rb"-?\d+(\.\d+)?")
WORD = re.compile(rb"[A-Za-z_]{3,}")


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


def numbered(number: int, corpus: list[bytes]) -> tuple[str, bytes]:
    """The kind and the bytes of an input, which depend on its number and the corpus alone."""
    kind = KINDS[number % len(KINDS)]
    return kind.__name__, kind(random.Random(number), corpus)


def real_specs(count: int) -> list[bytes]:
    """The shipped specs and as many generated ones."""
    shipped = [path.read_bytes() for path in sorted((ROOT / "specs").rglob("*.yaml"))]
    return [*shipped, *(seeded(seed).encode() for seed in range(count))]
