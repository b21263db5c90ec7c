"""Every rule's story: its bad example provokes exactly that rule, its mended one nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from corpus_frame import checked, completed, examples

from aebuild.compile.front import load
from aebuild.results.catalogue import every_rule

UNWRITABLE = {"AE001": "bytes that are no text", "AE002": "256 KiB", "AE003": "a control character", "AE007": "60,000 entries",
              "AE008": "an installation", "AE110": "a command line", "AE111": "a command line", "AE115": "33 files", "AE120": "a command line",
              "AE121": "a command line", **dict.fromkeys((f"AE12{number}" for number in range(2, 9)), "a plug-in"),
              **dict.fromkeys(("AE349", "AE351", "AE371"), "a plug-in's part"),
              "AE228": "a folder beside it", "AE369": "a table beside it", "AE386": "a run beside it",
              "AE388": "samples without labels", "AE389": "a training",
              "AE303": "no spec of today's layers leads there"}
WHOLE = ("AE004", "AE005")              # what is wrong is that nothing else is there
RULES = [rule for rule in every_rule().values() if rule.code < "AE4" and rule.code not in UNWRITABLE]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files that stories extend."""
    for name in ("base.yaml", "defaults.yaml"):
        (tmp_path / name).write_text(completed(""), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_the_bad_example_provokes_the_rule_and_the_mended_one_nothing(rule, folder, real_data):
    bad, mended = examples(rule)[:2]
    spec = folder / "self.yaml"
    spec.write_text(bad if rule.code in WHOLE else completed(bad), encoding="utf-8")
    assert {finding.code for finding in load(spec).diagnostics} == {rule.code}
    # a mended example may show only the keys that changed
    whole = completed(mended, bad) if rule.code > "AE1" else completed(mended)
    assert [str(finding) for finding in checked(whole, folder).diagnostics] == []


@pytest.mark.parametrize("rule", every_rule().values(), ids=lambda rule: rule.code)
def test_a_story_says_more_than_its_title(rule):
    assert rule.title
    assert rule.title[0].islower() or rule.title.startswith("PyYAML")
    assert len(rule.story) > 100
    assert rule.code in UNWRITABLE or rule.code > "AE4" or len(examples(rule)) >= 2
