"""From bytes to characters: what a spec's text may be made of."""

from __future__ import annotations

import codecs
import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache

from aebuild.lang.diagnostics import Diagnostic, Hint, Rule, Span, Text

MAX_BYTES = 256 * 1024
_LISTED = 20                          # more stray characters than this, and the file is no text at all

NOT_UTF8 = Rule("AE001", "the file is not UTF-8 text", """\
A spec is text in UTF-8, as every editor writes today. A file in another encoding would be read with wrong letters in its
paths and names, so it is refused instead of guessed at.

Some Windows tools write UTF-16 (PowerShell's `>` among them) or an older code page. In the editor choose *Save with
encoding: UTF-8*, or convert the file once:

```sh
iconv -f UTF-16 -t UTF-8 spec.yaml > spec-utf8.yaml          # or -f WINDOWS-1252
```
""")

TOO_LARGE = Rule("AE002", "the file is larger than 256 KiB", """\
A spec says what a model is in a few dozen lines; 256 KiB are some 8,000. A larger file is usually not the spec but the
data, a checkpoint or a log given by mistake. The bound also keeps hostile files from costing time and memory.

Repeated layers need no copies:

```yaml
encoder:                       # bad: the same two lines, four thousand times
  - linear: {width: 64}
  - linear: {width: 64}
```

```yaml
encoder: {layer: linear, depth: 4000, width: 64}
```
""")

STRAY = Rule("AE003", "a control character in the text", """\
Control characters (NUL, escape, the C1 range, lone surrogates, Unicode's own line separators) are not part of YAML. They
come from a copy out of a terminal or a PDF, or from a file that is no text. Editors do not show them, terminals obey them.

Delete the character. Where a text truly needs one, write its escape in double quotes:

```yaml
description: "red is ␛[31m"        # bad, where ␛ is a real escape character
```

```yaml
description: "red is \\x1b[31m"
```
""")

_BREAK = re.compile("\r\n|\r|\n")
_MARKS = ((codecs.BOM_UTF32_LE, "UTF-32"), (codecs.BOM_UTF32_BE, "UTF-32"), (codecs.BOM_UTF16_LE, "UTF-16"),
          (codecs.BOM_UTF16_BE, "UTF-16"))


@dataclass(frozen=True, eq=False)
class Script:
    """A text fit for the parser, and the way from its offsets back to lines and columns.

    `string` has the lines and columns of `text`; characters that have no place in YAML are replaced one for one.
    """

    text: Text
    string: str
    starts: list[int]

    def span(self, start: int, end: int) -> Span:
        """The span between two character offsets."""
        return Span(self.text, *self._place(start), *self._place(end))

    def _place(self, offset: int) -> tuple[int, int]:
        line = bisect_right(self.starts, offset)
        return line, min(offset - self.starts[line - 1], len(self.text.lines[line - 1])) + 1


def lettered(raw: bytes | str, name: str) -> tuple[Script | None, list[Diagnostic]]:
    """The text of a file, and what is wrong with its characters.

    None where reading on is pointless: too large, UTF-16, or binary.
    """
    if len(raw) > MAX_BYTES or (isinstance(raw, str) and len(raw.encode("utf-8", "surrogatepass")) > MAX_BYTES):
        return None, [Diagnostic(TOO_LARGE, "the file is larger than 256 KiB", Span(Text(name, ()), 1, 1, 1, 1),
                                 notes=("a spec is a page of text; was a data file given by mistake?",))]
    if isinstance(raw, str):
        return _without_strays(_script(raw.lstrip("\ufeff"), name), [])
    for mark, encoding in _MARKS:
        if raw.startswith(mark):
            script = _script(raw.decode(encoding, "replace").removeprefix("\ufeff"), name)
            return None, [Diagnostic(NOT_UTF8, f"the file is {encoding} text, not UTF-8", script.span(0, 0),
                                     Hint(f"iconv -f {encoding} -t UTF-8"))]
    while raw.startswith(codecs.BOM_UTF8):
        raw = raw.removeprefix(codecs.BOM_UTF8)
    try:
        return _without_strays(_script(raw.decode("utf-8"), name), [])
    except UnicodeDecodeError as error:
        script = _script(raw.decode("utf-8", "replace"), name)
        return _without_strays(script, [_undecodable(script, raw, error.start)])


def _script(string: str, name: str) -> Script:
    starts = [0, *(match.end() for match in _BREAK.finditer(string))]
    return Script(Text(name, tuple(_BREAK.split(string))), string, starts)


def _undecodable(script: Script, raw: bytes, at: int) -> Diagnostic:
    offset = len(raw[:at].decode("utf-8"))
    guess = raw[at:at + 1].decode("cp1252", "replace")
    likely = f"; in Windows-1252 it would be '{guess}'" if guess.isprintable() and guess != "\ufffd" else ""
    return Diagnostic(NOT_UTF8, f"the byte 0x{raw[at]:02X} is not UTF-8{likely}", script.span(offset, offset + 1),
                      Hint("save the file with encoding UTF-8"))


@cache
def _foreign() -> re.Pattern[str]:
    """What YAML calls not printable; made when a text has something odd, for the pattern takes long to compile."""
    return re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+")


def _without_strays(script: Script, found: list[Diagnostic]) -> tuple[Script | None, list[Diagnostic]]:
    if all(line.replace("\t", "").isprintable() for line in script.text.lines):
        return script, found
    foreign = _foreign()
    strays = list(foreign.finditer(script.string))
    if len(strays) > _LISTED:
        total = sum(len(match[0]) for match in strays)
        found.append(Diagnostic(STRAY, f"{total:,} control characters: this is not a text file", script.span(*strays[0].span())))
        return None, found
    for match in strays:
        code, length = ord(match[0][0]), len(match[0])
        what = f"the control character U+{code:04X}" if length == 1 else f"{length:,} control characters"
        escape = f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
        needed = "" if 0xD800 <= code < 0xE000 or code > 0xFFFD else f', or write "{escape}" in double quotes'
        found.append(Diagnostic(STRAY, f"{what} in the text", script.span(*match.span()), Hint(f"delete it{needed}")))
    mended = foreign.sub(lambda match: "\ufffd" * len(match[0]), script.string) if strays else script.string
    return Script(script.text, mended, script.starts), found
