"""Fixes of a spec's findings, put into its text; everything else stays as it was written."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import unified_diff
from pathlib import Path

from aebuild.compile.front import Loaded, load
from aebuild.lang.diagnostics import Diagnostic, Hint, Rule, UsageError
from aebuild.lang.fix_edits import is_gone, pastes
from aebuild.results.inference.row_files import appearing
from aebuild.trainer.run_dir.folder import is_run

NO_PLACE = Rule("AE845", "nothing that can be mended", """\
`aebuild validate --fix` writes into spec files of yours. What comes over a pipe, the spec of a run and the specs that come with aebuild
are not changed; copy one first.

```console
$ aebuild validate vqvae --fix                    # refused
$ aebuild specs vqvae > my.yaml
$ aebuild validate my.yaml --fix
```
""")

MOST = 100                       # fixes of a file in one go
LOADS = 1000                     # texts that are tried for them
MOST_OFFERED = 20                # of what is left, tried for what to offer
_WORD = re.compile(r"^[A-Za-z_][\w-]*$")
_SCALAR = re.compile(r"^[\w.+-]+$")
Load = Callable[[str], Loaded]


@dataclass(frozen=True)
class Mended:
    """A text with fixes in it, and the findings that are gone, with those whose fix would change a model that can be built."""

    text: str
    fixed: tuple[Diagnostic, ...]
    offered: tuple[Diagnostic, ...]

    def diff(self, before: str, name: str) -> str:
        """The unified diff from the text before."""
        lines = unified_diff(before.splitlines(keepends=True), self.text.splitlines(keepends=True), name, name)
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def mend(text: str, name: str, load: Load, unsafe: bool = False) -> Mended:
    """The text with every fix that can be pasted, takes its finding away and brings no error; each is tried.

    Without `unsafe` only those that decide nothing: words that nothing could be made of (AE1xx) become the words that were meant, and
    what changes nothing that is trained goes. The others are `offered`.
    """
    fixed: list[Diagnostic] = []
    tried: set[tuple[str, str, str]] = set()
    now, loads = load(text), 0
    while len(fixed) < MOST and loads < LOADS:
        found = next((each for each in now.diagnostics if _key(each) not in tried and _fixable(each, name)), None)
        if found is None:
            break
        tried.add(_key(found))
        for new in _ways(text, name, found):
            loads += 1
            after = load(new)
            if _mends(now, after, found) and (unsafe or _decides_nothing(text, new, name, now, after, found)):
                text, now = new, after
                fixed.append(found)
                tried.clear()
                break
    return Mended(text, tuple(fixed), () if unsafe else _offered(text, name, now, load))


def _offered(text: str, name: str, now: Loaded, load: Load) -> tuple[Diagnostic, ...]:
    """What is left that a fix would take away."""
    left = [each for each in now.diagnostics if _fixable(each, name)][:MOST_OFFERED]
    return tuple(each for each in left if any(_mends(now, load(new), each) for new in _ways(text, name, each)))


def mend_file(file: str, settings: Sequence[str], unsafe: bool, write: bool) -> tuple[Mended, str]:
    """Mends a spec file of the user's, whole or not at all; gives what was done and the diff. UsageError for what is no such file."""
    place = Path(file)
    if not place.is_file() or is_run(place.parent):
        raise UsageError(Diagnostic(NO_PLACE, f"{file} is no spec file that could be changed", fix="--diff" if place.is_file() else None))
    raw = place.read_bytes()
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return Mended("", (), ()), ""
    mended = mend(text, file, lambda new: load(file, settings, text=new), unsafe)
    if write and mended.fixed:
        target = place.resolve()
        with appearing(target) as partial:
            partial.write_bytes(mended.text.encode("utf-8"))
            shutil.copymode(target, partial)
    return mended, mended.diff(text, file)


def _fixable(finding: Diagnostic, name: str) -> bool:
    return finding.span is not None and finding.span.text.name == name and bool(finding.fix) and not isinstance(finding.fix, Hint)


def _unread(finding: Diagnostic) -> bool:
    """True if the text means nothing as it stands, so that another word cannot change a model behind anybody's back."""
    return finding.is_error and finding.code.startswith("AE1")


def _ways(text: str, name: str, finding: Diagnostic) -> Iterator[str]:
    """The text with the fix pasted, the likeliest way first; lines end as they do."""
    if _unread(finding) and (word := pasted(text, name, finding)) is not None:
        yield word
        return
    assert finding.span is not None and finding.fix is not None
    for edit in pastes(text, finding.span, finding.fix):
        yield replace(edit, new=edit.new.replace("\n", "\r\n") if "\r\n" in text else edit.new).applied(text)


def _decides_nothing(text: str, new: str, name: str, before: Loaded, after: Loaded, mended: Diagnostic) -> bool:
    """True for words in place of words that meant nothing, and for what leaves the training as it was."""
    if _unread(mended):
        return new == pasted(text, name, mended)
    if before.plan is None or after.plan is None or before.errors or after.errors:
        return False
    return mended.rule.idle or before.plan.maths == after.plan.maths


def pasted(text: str, name: str, finding: Diagnostic) -> str | None:
    """The text with the underlined word replaced: a key by the fix's key, a value by the fix; None where the fix is more than that."""
    span, fix = finding.span, finding.fix
    if span is None or fix is None or isinstance(fix, Hint) or span.text.name != name or span.line != span.end_line:
        return None
    lines = text.split("\n")
    line = lines[span.line - 1].rstrip("\r") if span.line <= len(lines) else ""
    old, behind = line[span.column - 1:span.end_column - 1], line[span.end_column - 1:]
    if not _SCALAR.match(old) or line != span.text.lines[span.line - 1]:
        return None
    if re.match(r"\s*:(\s|$)", behind):                          # a key, whose value stays
        new = fix.partition(":")[0]
        if not _WORD.match(new) or fix.startswith("remove "):
            return None
    elif _SCALAR.match(fix):
        new = fix
    else:
        return None
    tail = lines[span.line - 1][len(line):]
    lines[span.line - 1] = line[:span.column - 1] + new + behind + tail
    return "\n".join(lines)


def _key(finding: Diagnostic) -> tuple[str, str, str]:
    return finding.code, str(finding.span), finding.message


def _mends(before: Loaded, after: Loaded, mended: Diagnostic) -> bool:
    """True if the finding is rarer, and nothing worse has come.

    A word in place of an unknown one may let be seen what is wrong with the keys below it; a warning goes without another one.
    """
    old, new = before.diagnostics, after.diagnostics
    if not _unread(mended):
        return is_gone(mended, old, new) and (mended.is_error or len(new) < len(old))

    def often(found: list[Diagnostic]) -> int:
        return sum((each.code, each.message) == (mended.code, mended.message) for each in found)

    def unreadable(found: list[Diagnostic]) -> int:
        return sum(each.is_error and each.code.startswith("AE0") for each in found)

    return often(new) < often(old) and unreadable(new) <= unreadable(old)
