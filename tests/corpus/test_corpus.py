"""Each case of the Markdown files gives exactly the findings that are written in it."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from corpus_cases import Case, every_case

from aebuild.results.catalogue import every_rule

CASES = every_case()
ROOT = Path(__file__).parent.parent.parent

# codes that no spec in a Markdown file can provoke: the test that does
ELSEWHERE = {
    "AE002": "unit/test_source.py", "AE007": "unit/test_source.py", "AE008": "unit/test_source.py", "AE303": "corpus/test_chain.py",
    "AE404": "unit/test_data_arrays.py", "AE405": "unit/test_data_tables.py", "AE406": "unit/test_data_images.py",
    "AE408": "unit/test_data_arrays.py", "AE410": "unit/test_data_tables.py", "AE411": "unit/test_data_arrays.py",
    "AE412": "unit/test_data_arrays.py", "AE414": "unit/test_data_download.py", "AE415": "unit/test_data_tables.py",
    "AE417": "unit/test_data_tables.py",
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.file.stem}: {case.title}")
def test_a_bad_spec_gives_exactly_the_findings_written_in_it(case: Case, tmp_path, real_data):
    expected, found = case.check(tmp_path)
    assert len(found) == len(expected), found
    for wanted, got in zip(expected, found, strict=True):
        assert wanted == got or fnmatchcase(got, re.sub(r"([\\[?*])", r"[\1]", wanted).replace("…", "*")), (wanted, got)


def test_every_code_is_provoked_somewhere():
    shown = {match for case in CASES for block in case.blocks for _, mark in block.expected for match in re.findall(r"AE\d{3}", mark)}
    shown |= {line.split()[1] for case in CASES for line in case.bare}
    missing = {}
    for code in every_rule():
        if code in shown:
            continue
        named = ROOT / "tests" / ELSEWHERE.get(code, "unit")
        files = [named] if named.is_file() else sorted((ROOT / "tests").rglob("test_*.py"))
        if not any(provokes(file, code) for file in files):
            missing[code] = every_rule()[code].title
    assert missing == {}


def provokes(file: Path, code: str) -> bool:
    """True if the file has a test that looks for this code or for the rule's name."""
    text = file.read_text(encoding="utf-8")
    return file.name != "test_corpus.py" and code in text
