"""The reader: places, scalars, every refusal, and any bytes at all."""

from __future__ import annotations

import time
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from aebuild.lang.diagnostics import Diagnostic, Rule, Span, Text
from aebuild.lang.source import MAX_BYTES, MAX_DEPTH, MAX_NODES, Tree, parse_scalar, read, read_value
from aebuild.lang.suggest import closest

SPEC = """\
# a comment
name: vqvae
data: {type: mnist, size: [50, 70]}
encoder:
  - conv: {width: 64, kernel: 4, stride: 2}
  - flatten
latent: {type: codebook, codes: 512, dim: 64}
losses:
  reconstruction: bernoulli
  kl: {weight: {from: 0, to: 4, over: 10 epochs}}
train: {epochs: 10, optimizer: {type: adam, lr: 1e-3}}
"""


def tree_of(text: str | bytes) -> Tree:
    """The tree of a text without a problem."""
    tree, found = read(text, "x.yaml")
    assert not found, [d.message for d in found]
    assert tree is not None
    return tree


def problems(text: str | bytes) -> list[Diagnostic]:
    """What is wrong with a text."""
    return read(text, "x.yaml")[1]


def place(span: Span | None) -> tuple[int, int, int, int]:
    """A span as four numbers."""
    assert span is not None
    return span.line, span.column, span.end_line, span.end_column


def child(tree: Tree, *path: str | int) -> Tree:
    """The value at a path."""
    for step in path:
        assert isinstance(tree.value, dict | tuple)
        tree = tree.value[step]      # type: ignore[index]
    return tree


def test_a_spec_becomes_plain_data() -> None:
    assert tree_of(SPEC).plain() == {
        "name": "vqvae", "data": {"type": "mnist", "size": [50, 70]},
        "encoder": [{"conv": {"width": 64, "kernel": 4, "stride": 2}}, "flatten"],
        "latent": {"type": "codebook", "codes": 512, "dim": 64},
        "losses": {"reconstruction": "bernoulli", "kl": {"weight": {"from": 0, "to": 4, "over": "10 epochs"}}},
        "train": {"epochs": 10, "optimizer": {"type": "adam", "lr": 0.001}},
    }


def test_every_key_and_value_knows_its_place() -> None:
    tree = tree_of(SPEC)
    assert place(tree.span) == (2, 1, 11, 55)
    assert tree.key is None
    assert place(child(tree, "name").span) == (2, 7, 2, 12)
    assert place(child(tree, "name").key) == (2, 1, 2, 5)
    assert place(child(tree, "encoder").span) == (5, 3, 6, 12)
    assert place(child(tree, "encoder", 0, "conv", "width").span) == (5, 19, 5, 21)
    assert place(child(tree, "encoder", 0, "conv", "width").key) == (5, 12, 5, 17)
    assert place(child(tree, "data", "size").span) == (3, 27, 3, 35)
    assert place(child(tree, "losses").span) == (9, 3, 10, 50)
    assert str(child(tree, "name").span) == "x.yaml:2:7"


@pytest.mark.parametrize("text", ["😀: [a, 😀]\nb: 2", "😀: [a, 😀]\r\nb: 2", "😀: [a, 😀]\rb: 2", "\ufeff😀: [a, 😀]\nb: 2"])
def test_columns_count_characters_whatever_the_line_breaks(text: str) -> None:
    for given_text in (text, text.encode()):
        tree = tree_of(given_text)
        assert place(child(tree, "😀", 1).span) == (1, 8, 1, 9)
        assert place(child(tree, "b").span) == (2, 4, 2, 5)


def test_spans_of_empty_and_of_long_text() -> None:
    tree = tree_of("a:\nb: |\n  one\n  two\n\n\nc: 'x'\nd: one\n  two\n")
    assert place(child(tree, "a").span) == (1, 3, 1, 3)
    assert child(tree, "a").value is None
    assert place(child(tree, "b").span) == (2, 4, 4, 6)
    assert child(tree, "b").value == "one\ntwo\n"
    assert place(child(tree, "c").span) == (7, 4, 7, 7)
    assert place(child(tree, "d").span) == (8, 4, 9, 6)
    assert child(tree, "d").value == "one two"


def test_kinds_of_trees() -> None:
    tree = tree_of("a: [1]\nb: 2")
    assert tree.is_mapping
    assert child(tree, "a").is_list
    assert child(tree, "b").is_scalar
    assert tree.get("b") is child(tree, "b")
    assert tree.get("c") is None
    assert child(tree, "a").get("b") is None


SCALARS: list[tuple[str, Any]] = [
    ("1", 1), ("-1", -1), ("+5", 5), ("0", 0), ("-0", 0), ("9223372036854775807", 2**63 - 1),
    ("-9223372036854775808", -2**63), ("0x1F", 31), ("0o17", 15), ("1e-3", 1e-3), ("1E5", 1e5), (".5", 0.5), ("5.", 5.0),
    ("-.5e+1", -5.0), ("01.5", 1.5), ("0.0", 0.0), ("0e999", 0.0), ("true", True), ("True", True), ("FALSE", False),
    ("yes", "yes"), ("on", "on"), ("no", "no"), ("off", "off"), ("null", None), ("~", None), ("NULL", None), ("None", "None"),
    ("12:30", "12:30"), ("2020-01-01", "2020-01-01"), ("nan", "nan"), ("inf", "inf"), ("1.2.3", "1.2.3"), ("1e", "1e"),
    ("e5", "e5"), ("tRue", "tRue"), ("-", "-"), (".", "."), ("+", "+"), ("10 epochs", "10 epochs"), ("20%", "20%"),
    ("1_a", "1_a"), ("_1", "_1"), ("٣", "٣"), ("0b", "0b"), ("0x", "0x"), ("-x", "-x"), ("~/data", "~/data"),
]


@pytest.mark.parametrize(("text", "value"), SCALARS)
def test_unquoted_scalars(text: str, value: Any) -> None:
    span = Span(Text("x", (text,)), 1, 1, 1, len(text) + 1)
    tree, found = parse_scalar(text, span)
    assert not found
    assert tree.value == value
    assert type(tree.value) is type(value)
    if text != "-":
        assert child(tree_of(f"k: {text}"), "k").value == value


@pytest.mark.parametrize("text", ["1", "true", "null", "1e-3", "010", ".inf", "", "~"])
@pytest.mark.parametrize("mark", ["'", '"'])
def test_quoted_scalars_are_text(text: str, mark: str) -> None:
    assert child(tree_of(f"k: {mark}{text}{mark}"), "k").value == text


@pytest.mark.parametrize(("text", "code", "fix"), [
    ("010", "AE030", '10, or "010" if it is text'), ("00", "AE030", '0, or "00" if it is text'),
    ("-08", "AE030", '-8, or "-08" if it is text'),
    ("1_000", "AE030", '1000, or "1_000" if it is text'), ("1_0.5", "AE030", '10.5, or "1_0.5" if it is text'),
    ("0b11", "AE030", '3, or "0b11" if it is text'), ("-0x1F", "AE030", '-31, or "-0x1F" if it is text'),
    ("0XFF", "AE030", '255, or "0XFF" if it is text'), ("0b_", "AE030", '"0b_"'), ("1_0e999", "AE030", '"1_0e999"'),
    (".inf", "AE031", None), ("-.INF", "AE031", None), (".nan", "AE031", None), ("9223372036854775808", "AE032", None),
    ("9" * 5000, "AE032", None), ("1e400", "AE032", None), ("-1e400", "AE032", None), ("1e-400", "AE032", "0"),
    ("0x" + "f" * 100, "AE032", None),
])
def test_doubtful_numbers_are_refused_at_their_place(text: str, code: str, fix: str | None) -> None:
    tree, found = read(f"k: [1, {text}]", "x.yaml")
    assert [(d.code, d.fix) for d in found] == [(code, fix)]
    assert place(found[0].span) == (1, 8, 1, 8 + len(text))
    assert tree is not None
    assert child(tree, "k", 1).damaged
    assert not child(tree, "k", 0).damaged
    assert len(found[0].message) < 200


REFUSALS: list[tuple[str | bytes, str, int, int]] = [
    ("a: 1\nb: \u00e9".encode("latin-1"), "AE001", 2, 4), ("a: 1".encode("utf-16"), "AE001", 1, 1),
    ("a: 1".encode("utf-32"), "AE001", 1, 1), (b"a: 1\n\xff: 2", "AE001", 2, 1), ("a: " + "x" * MAX_BYTES, "AE002", 1, 1),
    ("\u00e9" * (MAX_BYTES // 2 + 1), "AE002", 1, 1), ("a: 1\nb: \x00", "AE003", 2, 4), ("a: \x1b[31m", "AE003", 1, 4),
    ("a: 'x\x85y'", "AE003", 1, 6), ("a: 'x\u2028y'", "AE003", 1, 6), ("a: '\ud800'", "AE003", 1, 5),
    ("a: '\ufffe'", "AE003", 1, 5), ("\x00" * 500, "AE003", 1, 1), ("\x00\n" * 500, "AE003", 1, 1), ("", "AE004", 1, 1),
    ("# nothing\n\n", "AE004", 1, 1), ("---\n", "AE004", 1, 1), ("- a", "AE005", 1, 1), ("name:vae", "AE005", 1, 1),
    ("3", "AE005", 1, 1), ("null", "AE005", 1, 1), ("a: " + "[" * MAX_DEPTH, "AE006", 1, 3 + MAX_DEPTH),
    ("[" * 200_000, "AE006", 1, 33), ("- " * 131_000, "AE006", 1, 65), ("? " * 131_000, "AE006", 1, 65),
    ("a: [" + "1," * MAX_NODES, "AE007", 1, 119_999), ("a: b: c", "AE010", 1, 5), ("a:1\nb: 2", "AE010", 2, 2),
    ("a: 1\n  b: 2", "AE010", 2, 3), ("a: 1\nfoo\nb: 2", "AE010", 2, 1), ("a: [1, 2", "AE010", 1, 4),
    ("a: [1, 2\nb: 3", "AE010", 1, 4), ("a: [1 2: 3}", "AE010", 1, 11), ("a: {x: 1\nb: 3", "AE010", 1, 4),
    ("a: {x: 'y' z: 1}", "AE010", 1, 12), ('a: "abc\nb: 1', "AE010", 1, 4), ("a: 'x\n---\ny'", "AE010", 1, 4),
    ("a: 'it's'", "AE010", 1, 8), ("a:\n  b: 1\n c: 2", "AE010", 3, 2), (" a: 1\nb: 2", "AE010", 2, 1),
    ("a: @x", "AE010", 1, 4), ("a: `x", "AE010", 1, 4), ("a: *.npz", "AE010", 1, 4), ("a: & b", "AE010", 1, 4),
    ("a: - b", "AE010", 1, 4), ("a: [1,,2]", "AE010", 1, 7), ("a: ]", "AE010", 1, 4), ("a: {x: 1}}", "AE010", 1, 10),
    ("[1]]", "AE010", 1, 4), ("- a\nb: 1", "AE010", 2, 1), ("a: 1\n- b", "AE010", 2, 1), ("a: ? b", "AE010", 1, 4),
    ("{width:[64]}", "AE010", 1, 7), ('a: "C:\\Users"', "AE010", 1, 7), ('a: "\\q"', "AE010", 1, 5),
    ('a: "\\ud800"', "AE010", 1, 5), ("a: | x", "AE010", 1, 6), (": 1", "AE010", 1, 1), ("- a\n-b\n- c", "AE010", 2, 1),
    ("a:\n\tb: 1", "AE011", 2, 1), ("a: 1\n\tb: 2", "AE011", 2, 1), ("a:\n  - b\n \t- c", "AE011", 3, 1),
    ("a: {b:1}", "AE012", 1, 5), ("a:\n - 1\n  - 2", "AE012", 2, 4), ("a: 1\nb: 2\na: 3", "AE013", 3, 1),
    ("a: {b: 1, 'b': 2}", "AE013", 1, 11), ("1: a", "AE014", 1, 1), ("a: {true: 1}", "AE014", 1, 5),
    ("? \n: 1", "AE014", 1, 2), ("010: a", "AE014", 1, 1), ("? [a, b]\n: c", "AE015", 1, 3), ("? {a: b}\n: c", "AE015", 1, 3),
    ("a: &x 1", "AE020", 1, 4), ("&x a: 1", "AE020", 1, 1), ("a: &x\n  b: 1", "AE020", 1, 4), ("a: *x", "AE021", 1, 4),
    ("*x : 1", "AE021", 1, 1), ("<<: *x", "AE022", 1, 1), ("<<: {a: 1}", "AE022", 1, 1), ("a: !!str 1", "AE023", 1, 4),
    ("a: !!python/object/apply:os.system [ls]", "AE023", 1, 4), ("a: !<tag:x> 1", "AE023", 1, 4),
    ("a: !x!y 1", "AE023", 1, 4), ("a: ! b", "AE023", 1, 4), ("%YAML 1.1\n---\na: 1", "AE024", 1, 1),
    ("# c\n%TAG ! x\n---\na: 1", "AE024", 2, 1), ("%YAML 9.9", "AE024", 1, 1), ("a: 1\n---\nb: 1", "AE025", 2, 1),
    ("a: 1\n...\n---\nb", "AE025", 3, 1),
]


@pytest.mark.parametrize(("text", "code", "line", "column"), REFUSALS, ids=lambda value: repr(value)[:30])
def test_refusals(text: str | bytes, code: str, line: int, column: int) -> None:
    first = problems(text)[0]
    assert first.span is not None
    assert (first.code, first.span.line, first.span.column) == (code, line, column), first
    assert "this is not YAML:" not in first.message
    assert "\n" not in first.message


def test_every_rule_of_the_reader_is_provoked() -> None:
    provoked = {code for _, code, _, _ in REFUSALS} | {"AE008", "AE030", "AE031", "AE032"}
    own = {code for code in Rule.catalogue if code < "AE1"}
    assert own <= provoked
    for code in provoked:
        story = Rule.catalogue[code].story
        assert story.count("```") >= 2, code
        assert len(story) > 150, code


def test_one_run_reports_everything_and_keeps_what_can_be_kept() -> None:
    tree, found = read("a: 010\nb: &x {c: !t [1]}\n1: x\n? [k]\n: *a\nb: .inf\nd: {e:5}\n<<: *b\nz: 1\n---\nmore: 1\n", "x")
    assert [d.code for d in found] == ["AE030", "AE020", "AE023", "AE014", "AE015", "AE021",
                                       "AE013", "AE031", "AE012", "AE022", "AE025"]
    assert tree is not None
    assert tree.plain() == {"a": None, "b": {"c": [1]}, "1": "x", "d": {"e": 5}, "z": 1}
    assert found[6].notes == ("first written in line 2, column 1",)


def test_errors_before_a_syntax_error_are_reported_too() -> None:
    tree, found = read("a: 010\nb: [1\n", "x")
    assert tree is None
    assert [d.code for d in found] == ["AE030", "AE010"]


@pytest.mark.parametrize(("text", "plain"), [
    ("[64,128]", [64, 128]), ("1e-3", 1e-3), ("{type: sgd, lr: 1}", {"type": "sgd", "lr": 1}), ("-1", -1), ("null", None),
    ("''", ""),     ("10 epochs", "10 epochs"), ("photos/", "photos/"), ("no", "no"),
])
def test_values_of_set(text: str, plain: Any) -> None:
    tree, found = read_value(text, "--set a")
    assert tree is not None
    assert not found
    assert tree.plain() == plain


@pytest.mark.parametrize(("text", "code"), [("", "AE004"), (" ", "AE004"), ("#1", "AE004"), ("010", "AE030"), ("[1", "AE010"),
                                            ("*a", "AE021"), ("\udcff", "AE003"),
                                            ("x" * 300_000, "AE002"), ("!x 1", "AE023")])
def test_values_of_set_are_refused_like_a_file(text: str, code: str) -> None:
    assert [d.code for d in read_value(text, "--set a")[1]] == [code]


def test_a_value_that_is_a_comment_says_so() -> None:
    assert "#" in read_value("#1", "--set a")[1][0].notes[0]


def test_without_libyaml_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml, "__with_libyaml__", False)
    tree, found = read("a: 1", "x")
    assert tree is None
    assert [d.code for d in found] == ["AE008"]
    assert "pip install" in str(found[0].fix)


K = MAX_BYTES
HOSTILE: dict[str, str | bytes] = {
    "brackets": "[" * K, "braces": "{" * K, "dashes": "- " * (K // 2), "questions": "? " * (K // 2),
    "brackets by line": "[\n" * (K // 2), "nested keys": "{a: " * (K // 4), "quoted keys": '["a":' * (K // 5),
    "rows of brackets": ("[" * 1000 + "\n") * (K // 1001), "flat": "[" + "a," * (K // 2 - 1),
    "flat deep": "[" * 31 + "a," * (K // 2 - 40), "flat maps": "[" + "{}," * (K // 3 - 1), "lines": "- a\n" * (K // 4),
    "keys": "".join(f"k{i}: 1\n" for i in range(K // 9)), "one text": "a " * (K // 2), "long key": "a" * (K - 3) + ": 1",
    "literal": "a: |\n" + " x\n" * (K // 3), "comments": "#\n" * (K // 2), "line breaks": "\n" * K,
    "late error": "\n" * (K - 10) + "a: b: c", "aliases": "- *a\n" * (K // 5), "tags": "- !t x\n" * (K // 7),
    "both": "- &a !b x\n" * (K // 10), "long anchor": "- &" + "a" * (K - 10) + " x",
    "anchor, blanks": "- &a" + " " * (K - 10) + "x", "directives": "%x\n" * (K // 3), "documents": "---\n" * (K // 4),
    "twice": "a: 1\n" * (K // 5), "merges": "<<: *a\n" * (K // 8), "glued": "[" + "{a:1}," * (K // 6 - 1) + "]",
    "doubts": "- 010\n" * (K // 6), "swallowed": "- a\n  - b\n" * (K // 10), "NULs": "\0\n" * (K // 2),
    "few NULs": "\n" * (K - 30) + "\0\n" * 15, "not UTF-8": b"\xff" * K, "digits": "a: " + "9" * (K - 4),
    "fraction": "a: " + "9" * (K - 6) + ".5", "underscores": "a: 1" + "_" * (K - 6) + "x",
    "exponent": "a: 1e" + "9" * (K - 10), "tabs": "\t" * K, "escapes": 'a: "' + "\\x41" * (K // 4 - 2) + '"',
    "open quote": "a: '" + "x\n" * (K // 2 - 3), "huge": b"a" * (50 * K),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_end_quickly(name: str) -> None:
    begin = time.process_time()                # 0.6 s at most on an idle machine; without the caps these take 20 to 90 s
    read(HOSTILE[name], "x")
    assert time.process_time() - begin < 8


PIECES = [
    "[", "]", "{", "}", ",", ": ", ":", "- ", "-", "? ", "&a ", "*a ", "!t ", "'", '"', "|", ">", "|-2", "#", " #", "%",
    "---", "...", "\n", "\n  ", "\n\t", "\r", "\r\n", " ", "\t", "a", "name", "1", "010", "1_0", ".inf", "<<", "\\", "\x00",
    "\x85", "\u2028", "\ufeff", "é", "😀", "\ud800", "@", "`", "%YAML 1.1\n", "~", "key: value\n", "- item\n", "\\x",
    "\\ud800",
]
soup = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)


def check_any(text: str | bytes) -> None:
    """Any input ends in a tree or in diagnostics with sound spans, and never in an exception."""
    for tree, found in [read(text, "x"), *([read_value(text, "x")] if isinstance(text, str) else [])]:
        assert tree is not None or found
        trees = [tree] if tree is not None else []
        while trees:
            here = trees.pop()
            check_span(here.span)
            trees += here.value.values() if isinstance(here.value, dict) else here.value if isinstance(here.value, tuple) else ()
        for diagnostic in found:
            assert diagnostic.span is not None
            check_span(diagnostic.span)


@pytest.mark.parametrize("text", ["\n\t", "[1\n\t", "a: 'x\n\t", "\ufeff\ufeffa: b: c", "a: 1\n%", "&a %", "a: 1\n...\n%", "a: !",
                                  "a: !<", "a: &", "a: *", '"', "'\n", "%\r\n", "a: &\r\n"])
def test_errors_at_the_end_of_the_text_have_a_place(text: str) -> None:
    check_any(text)


def check_span(span: Span) -> None:
    """A span lies in its text and does not end before it begins."""
    lines = span.text.lines or ("",)
    assert 1 <= span.line <= span.end_line <= len(lines)
    assert 1 <= span.column <= len(lines[span.line - 1]) + 1
    assert 1 <= span.end_column <= len(lines[span.end_line - 1]) + 1
    assert (span.line, span.column) <= (span.end_line, span.end_column)


@settings(max_examples=120, deadline=1000)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=100), soup, st.text(st.characters(codec=None), max_size=50)))
def test_any_input_ends_in_a_tree_or_diagnostics(text: str | bytes) -> None:
    check_any(text)


@settings(max_examples=120, deadline=1000)
@given(st.lists(st.tuples(st.integers(0, len(SPEC)), st.integers(0, 6), st.one_of(st.sampled_from(PIECES), st.text(max_size=3))),
                max_size=4))
def test_mutated_specs_end_in_a_tree_or_diagnostics(edits: list[tuple[int, int, str]]) -> None:
    text = SPEC
    for at, cut, piece in edits:
        text = text[:at] + piece + text[at + cut:]
    check_any(text)


KNOWN = [
    "conv", "linear", "epochs", "batch_size", "kernel", "width", "depth", "optimizer", "latent", "encoder", "decoder", "relu",
    "lr", "dim",
]


@pytest.mark.parametrize(("word", "wanted"), [
    ("cnov", "conv"), ("con", "conv"), ("Linear", "linear"), ("liner", "linear"), ("epoch", "epochs"), ("epcohs", "epochs"),
    ("batchsize", "batch_size"),
    ("batch-size", "batch_size"), ("batch", "batch_size"), ("kernel_size", "kernel"), ("kernelSize", "kernel"),
    ("widht", "width"),
    ("optimiser", "optimizer"),
    ("latnet", "latent"), ("ecoder", "encoder"), ("ReLU", "relu"), ("dm", "dim"), ("xyz", None), ("", None),
    ("colour", None), ("a", None),
    ("mirror", None),
    ("x" * 10_000, None), ("transformer", None), ("learning_rate", None), ("\x00", None), ("--", None), ("日本", None),
])
def test_did_you_mean(word: str, wanted: str | None) -> None:
    assert closest(word, KNOWN) == wanted


def test_ties_go_to_the_first_and_nothing_is_known_of_nothing() -> None:
    assert closest("relu", ["celu", "gelu"]) == "celu"
    assert closest("relu", []) is None
    assert closest("size", ["batch_size", "image_size"]) is None
