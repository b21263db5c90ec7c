"""Emitted YAML reads back as what it was, and looks like a person wrote it."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aebuild.lang.emit import emit
from aebuild.lang.source import read

TRICKY = [
    "", " ", "a: b", "a:b", "- a", "-", "?", "? a", "#", "a #b", "a#b", "[", "]", "a, b", "{", "*a", "&a", "!t", "%d", "@",
    "`", "|", ">", "'", '"', "it's", "true", "True", "null", "~", "yes", "no", "on", "1", "1.0", "010", "1_000", "0x1F",
    "0o7", ".inf", "1e-3", "12:30", "2020-01-01", "<<", "=", "---", "...", "--- a", "a\nb", "a\nb\n", "\n", "a\n\n", " a\nb",
    "a\n b\n", "\ta", "a\t", "a\tb", "\x00", "\x1b[31m", "\x85", "\u2028", "\xa0", "a\xa0", "\u202e", "\ufeff", "\ufffe",
    "\U0001f468", "日本", "photos/*.png", "z", "10 epochs", "20%", "C:\\data", "http://x.org:80/a?b#c", "a" * 2000,
    "a:" + "b" * 1500, "\\", "a\r\nb", "a\n# b", "a\n\n\nb", "|\n a",
]

texts = st.one_of(st.text(max_size=30), st.sampled_from(TRICKY), st.text(alphabet=" -:#,[]{}'\"\n\ta1?|>&*!%@`\\", max_size=8))
scalars = st.one_of(st.none(), st.booleans(), st.integers(-2**63, 2**63 - 1),
                    st.floats(allow_nan=False, allow_infinity=False), texts)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
                      max_leaves=25)


def same(left: Any, right: Any) -> bool:
    """Equal values of equal types."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float):
        return left == right and math.copysign(1, left) == math.copysign(1, right)
    return bool(left == right)


def check(plain: dict[str, Any]) -> None:
    """The law: read(emit(x)).plain() is x, and emitting that again gives the same text."""
    text = emit(plain)
    tree, found = read(text, "emitted")
    assert not found, (text, [(d.message, d.span) for d in found])
    assert tree is not None
    assert same(tree.plain(), plain), text
    assert emit(tree.plain()) == text        # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(texts, values, max_size=6))
def test_reading_an_emitted_spec_gives_it_back(plain: dict[str, Any]) -> None:
    check(plain)


@pytest.mark.parametrize("text", TRICKY)
def test_tricky_text_survives_at_every_place(text: str) -> None:
    check({text: text, "list": [text, [text], {text: text}], "map": {text: {text: [text]}, "k": text},
           "deep": [{"a": {"b": {"c": {"d": [{text: text}]}}}}]})


def test_each_float_survives_exactly() -> None:
    check({"v": [1e-5, 1e-3, 0.1, 1e16, 1e22, 5e-324, 1.7976931348623157e308, -0.0, 3.0, 2 / 3]})


def test_text_is_quoted_only_where_it_must_be() -> None:
    plain = {"a": "10 epochs", "b": "no", "c": "12:30", "d": "1e-3", "e": "true", "f": "it's", "g": "a: b",
             "h": "photos/*.png", "i": "a, b"}
    assert emit(plain) == ('a: 10 epochs\nb: no\nc: 12:30\nd: "1e-3"\ne: "true"\nf: it\'s\ng: "a: b"\nh: photos/*.png\ni: a, b\n')
    assert emit({"a": ["a, b", "c d"]}) == 'a: ["a, b", c d]\n'


def test_a_spec_looks_like_one() -> None:
    plain = {
        "name": "vae", "description": "First line.\nSecond line.\n",
        "encoder": [{"conv": {"width": 64, "stride": 2}}, "flatten", {"linear": {"width": [1, 2]}}],
        "latent": {"type": "gaussian", "dim": 32},
        "losses": {"kl": {"weight": {"from": 0, "to": 4.0, "over": "10 epochs"}, "free_bits": 0.1}}, "allow": {}, "heads": [],
        "train": {"optimizer": {"type": "adam", "lr": 0.001, "betas": [0.9, 0.999], "eps": 1e-08, "weight_decay": 0.0},
                  "epochs": 60, "batch_size": 256, "seed": 42},
    }
    assert emit(plain) == """\
name: vae
description: |
  First line.
  Second line.
encoder:
  - conv: {width: 64, stride: 2}
  - flatten
  - linear: {width: [1, 2]}
latent: {type: gaussian, dim: 32}
losses: {kl: {weight: {from: 0, to: 4.0, over: 10 epochs}, free_bits: 0.1}}
allow: {}
heads: []
train:
  optimizer: {type: adam, lr: 0.001, betas: [0.9, 0.999], eps: 1e-08, weight_decay: 0.0}
  epochs: 60
  batch_size: 256
  seed: 42
"""
    check(plain)


def test_no_line_of_short_words_is_long() -> None:
    plain = {f"key_{i}": {f"inner_{j}": list(range(i)) for j in range(4)} for i in range(0, 60, 7)}
    assert all(len(line) <= 250 for line in emit(plain).splitlines())
    check(plain)


@pytest.mark.parametrize("value", [math.inf, math.nan, 2**63, -2**63 - 1, "\ud800", object(), (1, 2), b"x"])
def test_what_a_spec_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="a spec cannot hold"):
        emit({"a": value})


@pytest.mark.parametrize("plain", [{1: 2}, {"a": {None: 1}}, [1]])
def test_only_mappings_with_names_are_emitted(plain: Any) -> None:
    with pytest.raises(ValueError, match=r"a key is text|a spec is a mapping"):
        emit(plain)
