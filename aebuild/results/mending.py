"""Fixes of a spec's findings, put into its text; everything else stays as it was written."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

from aebuild.compile.front import Loaded, load
from aebuild.lang.diagnostics import Diagnostic, Hint, Rule, UsageError
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
    """The text with every fix that replaces one word by one word at its place and removes its finding without bringing another error.

    Words that nothing could be made of (AE1xx) are replaced at once; fixes of sizes and of warnings, which decide something about the
    model, only with `unsafe`.
    """
    fixed: list[Diagnostic] = []
    tried: set[tuple[str, str, str]] = set()
    found = load(text).diagnostics
    while len(fixed) < MOST:
        step = next(((each, new) for each in found if (unsafe or safe(each)) and _key(each) not in tried
                     and (new := pasted(text, name, each)) is not None), None)
        if step is None:
            break
        tried.add(_key(step[0]))
        after = load(step[1]).diagnostics
        if _better(found, after, step[0]):
            text, found = step[1], after
            fixed.append(step[0])
            tried.clear()
    offered = () if unsafe else tuple(each for each in found if not safe(each) and pasted(text, name, each) is not None)
    return Mended(text, tuple(fixed), offered)


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


def safe(finding: Diagnostic) -> bool:
    """True if the text means nothing as it stands, so that the fix cannot change a model behind anybody's back."""
    return finding.is_error and finding.code.startswith("AE1")


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


def _better(before: list[Diagnostic], after: list[Diagnostic], mended: Diagnostic) -> bool:
    """True if this finding is rarer, the text can still be read, and a fix that is not safe has brought no unknown word.

    A safe one may let be seen what is wrong with the keys below a key that was unknown.
    """
    def often(found: list[Diagnostic]) -> int:
        return sum((each.code, each.message) == (mended.code, mended.message) for each in found)

    def early(found: list[Diagnostic], codes: tuple[str, ...]) -> int:
        return sum(each.is_error and each.code.startswith(codes) for each in found)

    codes = ("AE0",) if safe(mended) else ("AE0", "AE1")
    return often(after) < often(before) and early(after, codes) <= early(before, codes)
