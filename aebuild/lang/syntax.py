"""What is wrong with a text that is not YAML, in the writer's words."""

from __future__ import annotations

import re
from dataclasses import dataclass

from yaml.error import MarkedYAMLError

from aebuild.lang.diagnostics import Diagnostic, Hint, Rule
from aebuild.lang.encoding import Script
from aebuild.lang.printable import quote
from aebuild.lang.yaml_limits import DIRECTIVE, TAG

SYNTAX = Rule("AE010", "the text is not YAML", """\
The text breaks the rules of YAML: a bracket or a quotation mark that is never closed, a line whose indentation fits no line
above it, a value that begins with a character that means something else. Reading ends at the first such place, so what comes
after it has not been checked yet.

```yaml
encoder: {layer: conv, width: [64, 128}
```

```yaml
encoder: {layer: conv, width: [64, 128]}
```
""")

TAB = Rule("AE011", "a tab in the indentation", """\
YAML counts spaces to see what belongs to what, and forbids tabs there because nobody agrees how wide they are. Set the editor to
indent `.yaml` files with spaces, or convert once with `expand -t 2 spec.yaml > mended.yaml`.

```yaml
train:
	epochs: 10
```

```yaml
train:
  epochs: 10
```
""")

DISGUISED = Rule("AE012", "text that was meant as structure", """\
A forgotten space turns structure into text without breaking YAML: `dim:32` is one word, and a `- step` that is indented deeper
than the entry above it is swallowed by that entry's text.

```yaml
encoder:
  - flatten
    - dropout
latent: {type: continuous, dim:32}
```

```yaml
encoder:
  - flatten
  - dropout
latent: {type: continuous, dim: 32}
```

Where it truly is text, put it in quotes.
""")


_UNCOLONED = re.compile(r"([ \t]*(?:- )?)([A-Za-z_]\w*) +([^\s:#][^:]*|[{\[].*)")      # `epochs 10`, a key without its colon
GLUED = re.compile(r"([A-Za-z_]\w*):(\S.*)")           # `width:64`, a key that swallowed its value


@dataclass(frozen=True)
class _Place:
    """Where the parser gave up: the problem's offset, that of what it was in, and their lines."""

    script: Script
    at: int
    opened: int | None

    def char(self, offset: int) -> str:
        return self.script.string[offset:offset + 1]

    @property
    def line(self) -> str:
        """The problem's line up to its break."""
        return self.rest(self.start)

    @property
    def start(self) -> int:
        return self.at - self.script.span(self.at, self.at).column + 1

    @property
    def ended(self) -> bool:
        return not self.script.string[self.at:].strip()

    def rest(self, offset: int) -> str:
        return re.split("[\r\n]", self.script.string[offset:offset + 2000], maxsplit=1)[0]

    def number(self, offset: int) -> int:
        return self.script.span(offset, offset).line

    def above(self) -> str:
        """The last line above the problem's that is not blank."""
        lines = self.script.text.lines[:max(0, self.number(self.at) - 1)]
        return next((line for line in reversed(lines) if line.strip()), "")


_Finding = tuple[str, str | None, int, int]                # message, fix, from, to


def explain(error: MarkedYAMLError, script: Script) -> Diagnostic:
    """The one diagnostic of a text that ends in a syntax error."""
    end = len(script.string)
    mark, context = error.problem_mark, error.context_mark
    at = min(end, mark.index) if mark is not None else end
    place = _Place(script, at, min(end, context.index) if context is not None else None)
    rule, (message, fix, start, stop) = _judged(place, str(error.problem or ""), str(error.context or ""))
    notes = () if place.ended or rule is not SYNTAX else ("reading stopped here: what follows has not been checked",)
    return Diagnostic(rule, message, script.span(min(start, end), min(max(start, stop), end)), Hint(fix) if fix else None,
                      notes=notes)             # where the text is no YAML, nothing can be pasted by its structure


def _judged(place: _Place, problem: str, within: str) -> tuple[Rule, _Finding]:
    at = place.at
    if _is_tab(place, problem):
        indent = place.start + len(place.line) - len(place.line.lstrip(" \t"))
        return TAB, ("a tab in the indentation; YAML wants spaces", "indent with two spaces for each level", place.start,
                     max(at + 1, indent))
    if "tag" in f"{problem} {within}".casefold().split():
        where = at if place.opened is None else place.opened
        return TAG, ("text that begins with ! is a tag, and a spec has none", "put the text in quotes", where, max(where + 1, at))
    if "directive" in f"{problem} {within}" or "YAML" in problem:
        return DIRECTIVE, ("a line that begins with % is a directive, and a spec has none", "delete the line", at, at + 1)
    return SYNTAX, _finding(place, problem, within)


def _is_tab(place: _Place, problem: str) -> bool:
    indent = place.line[:len(place.line) - len(place.line.lstrip(" \t"))]
    return ("\t" in indent and place.at <= place.start + len(indent)) or "tab character" in problem


def _finding(place: _Place, problem: str, within: str) -> _Finding:
    at, opened = place.at, place.at if place.opened is None else place.opened
    if "quoted scalar" in within:
        return _in_quotes(place, problem, opened)
    if (uncoloned := _forgotten_colon(place, problem)) is not None:
        return uncoloned
    if "flow" in within and "','" in problem:
        return _unclosed(place, opened)
    if "cannot start any token" in problem or "alphabetic or numeric" in problem:
        word = re.split(r"[,\]}]|\s#|: ", place.rest(opened), maxsplit=1)[0].rstrip()
        return f"text cannot begin with {place.char(opened)} unless it is in quotes", _quoted(word), opened, opened + len(word)
    if "mapping values" in problem:
        return _colon(place)
    if "could not find expected ':'" in problem:
        return _no_colon(place, opened)
    if "did not find expected key" in problem or "'-' indicator" in problem:
        return _misplaced(place, opened, "'-'" in problem)
    if "sequence entries" in problem:
        return ("a list cannot begin on the line of its key", "write the entries on lines of their own, or as [a, b]", at, at + 1)
    if "mapping keys" in problem:
        return "a ? with a space after it cannot stand here", _quoted(place.rest(at)[:80].rstrip()), at, at + 1
    if "node content" in problem:
        closing = place.char(at) in ("]", "}")
        stray = f"this {place.char(at)} closes nothing, or a value is missing before it"
        return stray if closing else "a value is missing here", None, at, at + 1
    if "unexpected ':'" in problem:
        return "a space is missing after the colon", f"{place.script.string[opened:at][:80]}: ", at, at + 1
    if "block scalar" in within:
        mark = place.char(opened)
        return f"nothing may follow {mark} on its line", f"put the text in quotes, or on the lines below {mark}", at, at + 1
    if "document start" in problem:
        return _after_the_end(place)
    return f"this is not YAML: {problem or 'unreadable'}", None, at, at + 1


def _forgotten_colon(place: _Place, problem: str) -> _Finding | None:
    """`encoder {layer: conv}`, or `epochs 10` above the line where reading stopped."""
    if "mapping values" not in problem and "expected ':'" not in problem:
        return None
    text, start = place.line, place.start
    match = _UNCOLONED.fullmatch(text)
    if match is None or "mapping values" in problem and match[3][0] not in "{[":
        text = place.above()
        match = _UNCOLONED.fullmatch(text)
        start = place.script.string.rfind(text, 0, place.start) if text else -1
        if match is None or start < 0 or " " in match[3]:
            return None
    begin = start + match.start(2)
    return f"a colon is missing behind {quote(match[2])}", f"{match[2]}: {match[3][:80]}", begin, begin + len(match[2])


def _quoted(word: str) -> str:
    return f"'{word}'" if "'" not in word else '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _in_quotes(place: _Place, problem: str, opened: int) -> _Finding:
    if "end of stream" in problem or "document indicator" in problem:
        mark = place.char(opened)
        doubled = ", and write '' for an apostrophe inside" if mark == "'" else ""
        return f"this {mark} is never closed", f"add a closing {mark}{doubled}", opened, opened + len(place.rest(opened))
    start = place.script.string.rfind("\\", opened, place.at + 1)
    start = start if start >= 0 else place.at
    escape = place.script.string[start:start + 2]
    return (f"in double quotes {quote(escape)} is the beginning of an escape, and this is none",
            "write \\\\ for a backslash, or use single quotes", start, max(place.at, start + 2))


def _unclosed(place: _Place, opened: int) -> _Finding:
    bracket = place.char(opened)
    closing = "]" if bracket == "[" else "}"
    if place.ended:
        return f"this {bracket} is never closed", f"add a {closing}", opened, opened + 1
    if place.number(opened) != place.number(place.at):
        return (f"this {bracket} is not closed before line {place.number(place.at)}, or a comma is missing",
                f"add a {closing} or a comma", opened, opened + 1)
    if place.char(place.at) in ("]", "}"):
        return (f"this {place.char(place.at)} does not close the {bracket} in column {place.script.span(opened, opened).column}",
                f"write {closing} first", place.at, place.at + 1)
    return f"a comma or {closing} is missing before this", None, place.at, place.at + 1


def _colon(place: _Place) -> _Finding:
    before = place.script.string[place.start:place.at]
    earlier = re.match(r"\s*(?:- +)*[^\s:#][^:]*?: +(?=\S)", before)
    if earlier:
        value = place.rest(place.start + earlier.end()).rstrip()
        return ("a second colon in one line: a value with a colon and a space in it wants quotes", _quoted(value),
                place.at, place.at + 1)
    above = place.above()
    glued = re.match(r"\s*(?:- +)*([A-Za-z_]\w*):(\S.*)", above)
    if glued:
        line = place.number(place.at) - 1
        return (f"a space is missing after the colon of line {line}, so this line continues its text",
                f"{glued[1]}: {glued[2].strip()[:80]}", place.at, place.at + 1)
    return ("this line is indented as if it belonged to the value above it, which already is text",
            "give it the indentation of the key above, or give that key no value of its own",
            place.start + len(before) - len(before.lstrip()), place.at + 1)


def _no_colon(place: _Place, opened: int) -> _Finding:
    line = place.rest(opened).rstrip()
    glued = re.match(r"-\S|\w+:\S", line)
    if glued and not line.startswith("--"):
        cut = line.index("-" if line.startswith("-") else ":") + 1
        return f"a space is missing after {line[cut - 1]}", f"{line[:cut]} {line[cut:cut + 80]}", opened, opened + len(line)
    message = "this line has no colon, so it is neither a key nor part of what stands above it"
    return message, f"{line[:80]}: ...", opened, opened + len(line)


def _misplaced(place: _Place, opened: int, in_list: bool) -> _Finding:
    at, rest = place.at, place.rest(place.at).rstrip()
    around = f"the {'list' if in_list else 'mapping'} of line {place.number(opened)}"
    if place.char(at) and place.char(at) in "]},":
        return f"this {place.char(at)} closes nothing", "delete it, or open what it closes", at, at + 1
    if place.char(at) == ":":
        return "a key is missing before this colon", None, at, at + 1
    if place.line[:at - place.start].strip():
        fix = "write '' for an apostrophe inside '...'" if place.char(at - 1) == "'" else "put the whole value in quotes"
        return "text after the end of a value", fix, at, at + len(rest)
    indent, wanted = at - place.start, place.script.span(opened, opened).column - 1
    if indent != wanted:
        return (f"this line is indented by {indent}, which fits no line above; {around} is indented by {wanted}",
                f"indent it by {wanted}", at, at + len(rest))
    if in_list:
        return f"{around} goes on here without its -", f"- {rest[:80]}", at, at + len(rest)
    what = "a list entry" if rest.startswith("-") else "this"
    message = f"{what} stands among the keys of {around}"
    return message, "indent it deeper than its key, or give it a key", at, at + max(1, len(rest))


def _after_the_end(place: _Place) -> _Finding:
    at, rest = place.at, place.rest(place.at).rstrip()
    if place.char(at) in ("]", "}", ","):
        return f"this {place.char(at)} closes nothing", "delete it", at, at + 1
    return ("the spec has ended above: this line is indented less than the first one, or follows a closed bracket",
            "give all top-level keys the same indentation", at, at + max(1, len(rest)))
