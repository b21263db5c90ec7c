"""Diagnostics for people, editors and programs: exact, complete and safe to print."""

from __future__ import annotations

import json
import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from aebuild.lang.diagnostics import Diagnostic, Hint, Rule, Span, Text
from aebuild.lang.printable import quote
from aebuild.lang.render import SHOWN, clean, ordered, render, summary
from aebuild.lang.source import read

BAD = Rule.catalogue["AE010"]
WORSE = Rule.catalogue["AE013"]
MILD = Rule.catalogue.get("AE000") or Rule("AE000", "a warning of these tests", "", "warning")
Rule.catalogue.pop("AE000")


def finding(line: str, start: int, end: int, message: str = "wrong", rule: Rule = BAD, **more: object) -> Diagnostic:
    """A finding in a text of one line; columns count from 1."""
    return Diagnostic(rule, message, Span(Text("x.yaml", (line,)), 1, start, 1, end), **more)      # type: ignore[arg-type]


def marked(text: str) -> tuple[str, str]:
    """The source line and the marks under it, both behind the gutter."""
    lines = text.split("\n")
    index = next(i for i, line in enumerate(lines) if re.fullmatch(r"\s+│ +\^+", line))
    return lines[index - 1].split("│ ", 1)[1], lines[index].split("│ ", 1)[1]


def under(text: str) -> str:
    """What stands above the marks, by terminal cells."""
    line, marks = marked(text)
    cells = "".join(char + "\0" * (cell_len(char) - 1) for char in line if cell_len(char))
    start = len(marks) - len(marks.lstrip())
    return cells[start:len(marks)].replace("\0", "")


def test_the_form_for_people() -> None:
    d = finding("train: {epochs: ten}", 17, 20, "epochs is a whole number", fix="epochs: 10", notes=("text was found",))
    assert render([d]) == """\
error AE010 ─ epochs is a whole number
  x.yaml:1:17
    1 │ train: {epochs: ten}
      │                 ^^^
  fix: epochs: 10
  note: text was found
  more: aebuild explain AE010

1 error in 1 file
"""


def test_the_concise_form() -> None:
    found = [finding("a: 1", 4, 5, fix="a: 2"), Diagnostic(BAD, "no place", path="encoder.0"), Diagnostic(WORSE, "nowhere")]
    assert render(found, "concise") == ("x.yaml:1:4: AE010 wrong [a: 2]\nencoder.0: AE010 no place\nAE013 nowhere\n"
                                        "3 errors in 1 file\n")


def test_the_json_form_has_everything() -> None:
    d = finding("a: 1", 4, 5, "wrong \x7f\x1b é", path="a", fix="b", notes=("n",))
    text = render([d, Diagnostic(BAD, "nowhere")], "json")
    assert text.isascii()
    assert "\x7f" not in text
    first, second = json.loads(text)
    assert first == {"code": "AE010", "severity": "error", "title": "the text is not YAML", "message": "wrong \x7f\x1b é",
                     "file": "x.yaml", "line": 1, "column": 4, "end_line": 1, "end_column": 5, "path": "a", "fix": "b",
                     "hint": None, "notes": ["n"]}
    assert json.loads(render([Diagnostic(BAD, "nowhere", None, Hint("look"))], "json"))[0]["hint"] == "look"
    assert "hint: look" in render([Diagnostic(BAD, "nowhere", None, Hint("look"))])
    assert second["file"] is None
    assert second["line"] is None
    assert json.loads(render([], "json")) == []
    assert render([]) == "" == render([], "concise")


def test_twenty_are_shown_and_errors_before_warnings() -> None:
    text = Text("x.yaml", tuple(f"k{i}: 1" for i in range(60)))
    found = [Diagnostic(MILD, f"warning {i}", Span(text, i + 1, 1, i + 1, 2)) for i in range(50)]
    found += [Diagnostic(BAD, f"error {i}", Span(text, i + 1, 1, i + 1, 2)) for i in range(50, 53)]
    shown = render(found, "concise").splitlines()
    assert len(shown) == SHOWN + 2
    assert [line.split()[2] for line in shown[:20]] == ["warning"] * 17 + ["error"] * 3
    assert shown[20] == "… and 33 more problems; --format json has all"
    assert shown[21] == "3 errors, 50 warnings in 1 file"
    assert len(json.loads(render(found, "json"))) == 53
    assert "… and 1 more problem;" in render(found[:21])


def test_order_and_repetition() -> None:
    a, b = Text("a.yaml", ("x" * 20,) * 3), Text("b.yaml", ("x" * 20,))
    found = [Diagnostic(BAD, "5"), *(Diagnostic(BAD, m, Span(t, line, column, line, column + 1)) for m, t, line, column in
             [("4", b, 1, 1), ("3", a, 2, 5), ("2", a, 2, 4), ("1", a, 1, 9), ("1", Text("a.yaml", ()), 1, 9)])]
    assert [d.message for d in ordered(found)] == ["1", "2", "3", "4", "5"]
    assert summary(ordered(found)) == "5 errors in 2 files"
    assert summary([]) == "no problems"


@pytest.mark.parametrize(("line", "part"), [
    ("a: bad", "bad"), ("\ta: bad", "bad"), ("日本: bad", "bad"), ("日本: 日本x", "日本x"), ("e\u0301e\u0301: bad", "bad"),
    ("x: 👍bad", "bad"),
    ("a: \tbad\t1", "bad"), ("[/red]: [bold]bad[/bold]", "bad"), (":smile: bad", "bad"),
])
def test_the_part_is_underlined_exactly(line: str, part: str) -> None:
    start = line.index(part) + 1
    assert under(render([finding(line, start, start + len(part))])) == part


def test_what_is_invisible_becomes_visible() -> None:
    line = "a: \x1b[31m\u202e\x00\xa0\u200bx"
    text = render([finding(line, 4, 5, "m\x1b[2J\u202e\n", fix="f\x07", notes=("n\x9b",), path="\x1b")])
    assert marked(text) == ("a: \\x1b[31m\\u202e\\x00\\xa0\\u200bx", "   ^^^^")
    assert "m\\x1b[2J\\u202e\\n" in text
    assert "f\\x07" in text
    assert "n\\x9b" in text


def test_markup_of_the_user_is_text() -> None:
    text = render([finding("[/x]: [red]", 1, 5, "no [/x] [bold]b[/bold] :smile:", fix="[link=x]y[/link]")], color=True)
    assert "no [/x] [bold]b[/bold] :smile:" in re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert "[link=x]y[/link]" in text


@pytest.mark.parametrize("at", [0, 1, 50, 5000, 99_990])
@pytest.mark.parametrize("length", [1, 7, 3000])
def test_long_lines_are_cut_around_the_part(at: int, length: int) -> None:
    line = "".join(chr(97 + i % 26) for i in range(100_000))
    text = render([finding(line, at + 1, at + 1 + length)], width=80)
    shown, marks = marked(text)
    assert all(cell_len(row) <= 80 for row in text.splitlines())
    assert set(marks.strip()) == {"^"}
    assert len(marks.strip()) == min(length, 100_000 - at, len(marks.strip()))
    part = under(text).strip("…")
    assert line[at:].startswith(part)
    assert shown.strip("…") in line
    assert len(marks.strip()) >= min(length, 60, 100_000 - at)


def test_heaps_of_combining_and_of_wide_characters_are_cut_too() -> None:
    for line in ("a" + "\u0301" * 50_000, "日" * 50_000, "\x00" * 50_000, "\t" * 50_000):
        assert len(render([finding(line, 20_000, 20_001)], width=80)) < 1000


def test_long_messages_are_cut_and_wrapped() -> None:
    text = render([finding("a", 1, 2, "word " * 50_000, fix="f" * 5000, notes=("note " * 5000,))], width=60)
    assert len(text) < 5000
    assert all(cell_len(row) <= 60 for row in text.splitlines() if "fff" not in row)


def test_spans_over_several_lines_show_both_ends() -> None:
    text = Text("x.yaml", ("encoder:", "  - conv", "", "  - linear", "latent: 1"))
    assert render([Diagnostic(BAD, "m", Span(text, 1, 1, 4, 11))]).split("\n")[2:7] == [
        "    1 │ encoder:", "      │ ^^^^^^^^", "    …", "    4 │   - linear", "      │   ^^^^^^^^"]
    assert "    2 │   - conv\n      │   ^^^^^^\n" in render([Diagnostic(BAD, "m", Span(text, 1, 1, 2, 9))])
    assert "…" not in render([Diagnostic(BAD, "m", Span(text, 1, 1, 2, 9))])
    assert "    2 │" not in render([Diagnostic(BAD, "m", Span(text, 1, 1, 2, 1))])


def test_places_outside_the_text_do_no_harm() -> None:
    for lines in ((), ("",), ("ab",)):
        for span in ((1, 1, 1, 1), (1, 9, 1, 12), (5, 1, 6, 1), (1, 2, 9, 9)):
            assert "x.yaml:" in render([Diagnostic(BAD, "m", Span(Text("x.yaml", lines), *span))])


def test_color_changes_nothing_but_color() -> None:
    d = finding("a: bad", 4, 7, fix="b", notes=("n",))
    colored = render([d], color=True)
    assert "\x1b[" in colored
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == render([d])
    assert "\x1b" not in render([d], "concise", color=True)


def test_each_rule_points_to_its_story_once() -> None:
    text = render([finding("ab", 1, 2), finding("ab", 2, 3), finding("ab", 1, 2, rule=WORSE)])
    assert text.count("aebuild explain AE010") == 1 == text.count("aebuild explain AE013")


anything = st.text(st.characters(codec=None), max_size=40)


@settings(max_examples=60, deadline=None)
@given(anything, anything, anything, st.integers(1, 50), st.integers(1, 50), st.integers(0, 120), st.booleans())
def test_nothing_hidden_reaches_a_terminal(line: str, message: str, name: str, start: int, end: int, width: int,
                                             color: bool) -> None:
    d = Diagnostic(BAD, message, Span(Text(name, (line, line)), 1, start, 2, end), fix=message, path=name, notes=(line,))
    for text in (render([d], "people", width, color), render([d], "concise"), render([d], "json")):
        bare = re.sub(r"\x1b\[[0-9;]*m", "", text) if color else text
        assert not {c for c in bare if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Cn")}
    assert clean(clean(message)) == clean(message)


def test_what_the_reader_finds_is_rendered() -> None:
    _, found = read("a: 010\nb: [1, 2\n", "x.yaml")
    assert render(found, "concise").splitlines()[-1] == "2 errors in 1 file"
    assert under(render(found[:1])) == "010"


def test_quotes_are_cut() -> None:
    assert quote("abc") == "'abc'"
    assert len(quote("x" * 1000, 40)) == 42
