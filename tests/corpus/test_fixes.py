"""Every fix that is printed parses and removes its error."""

from __future__ import annotations

from pathlib import Path

import pytest
from corpus_cases import SPEC, Case, every_case
from corpus_frame import completed, examples
from test_stories import RULES, WHOLE, folder

from aebuild.compile.front import load
from aebuild.lang.diagnostics import Diagnostic, Hint
from aebuild.lang.fix_edits import is_gone, pastes

__all__ = ["folder"]


def unmended(path: Path, settings: list[str]) -> list[str]:
    """The fixes of a spec that leave their error where it is, or bring another one."""
    before = load(path, settings).diagnostics
    return [f"{found.code} {found.message} ⟶ {found.fix}" for found in before
            if found.fix and not isinstance(found.fix, Hint) and not any(mended(path, settings, found, before))]


def mended(path: Path, settings: list[str], found: Diagnostic, before: list[Diagnostic]):
    """For each way to paste the fix, whether the finding is gone and no other error has come."""
    assert found.span is not None, f"{found.code} has no place to paste {found.fix!r}"
    name = found.span.text.name
    if name.startswith("--set"):
        for number, setting in enumerate(settings):
            key, (own, colon, value) = setting.partition("=")[0], found.fix.partition(": ")
            for new in (f"{key.rpartition('.')[0]}.{own}={value}" if colon else f"{key}={found.fix}", found.fix.removeprefix("--set ")):
                yield is_gone(found, before, load(path, [*settings[:number], new, *settings[number + 1:]]).diagnostics)
        return
    file = Path(name)
    raw = file.read_bytes()
    try:
        text = raw.decode()
        for edit in pastes(text, found.span, found.fix):
            file.write_text(edit.applied(text), encoding="utf-8")
            yield is_gone(found, before, load(path, settings).diagnostics)
    finally:
        file.write_bytes(raw)


@pytest.mark.parametrize("case", every_case(), ids=lambda case: f"{case.file.stem}: {case.title}")
def test_fixes_of_the_corpus(case: Case, tmp_path, real_data):
    case.check(tmp_path)
    assert unmended(tmp_path / SPEC, case.settings) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_fixes_of_the_stories(rule, folder, real_data):
    bad = examples(rule)[0]
    spec = folder / "self.yaml"
    spec.write_text(bad if rule.code in WHOLE else completed(bad), encoding="utf-8")
    assert unmended(spec, []) == []
