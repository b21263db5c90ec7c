"""What is found out about data and should be read: the same at validate and at train."""

from __future__ import annotations

import json

from aebuild.lang.render import Note, render
from aebuild.lang.samples import DataInfo
from aebuild.lang.values import Grid, Range


def test_notes_are_lines_and_records() -> None:
    notes = [Note("a.yaml", "guessed \x1b[1m")]
    assert render([], notes=notes) == "note: guessed \\x1b[1m\n"
    assert json.loads(render([], "json", notes=notes))[0].items() >= {
        "severity": "note", "message": "guessed \x1b[1m", "file": "a.yaml", "path": "data", "code": None}.items()
    assert render([], notes=[*notes, Note("b.yaml", "left out")]).splitlines()[1] == "note: b.yaml: left out"


def test_notes_are_kept_in_a_run() -> None:
    value = Grid(1, (2, 2))
    info = DataInfo(value, value, Range(), Range(), "none", {"train": 1}, "made up", notes=("guessed",))
    kept = info.to_json()
    assert DataInfo.from_json(json.loads(json.dumps(kept))) == info
    assert DataInfo.from_json(json.loads(json.dumps(kept))).notes == info.notes
    del kept["notes"]
    assert DataInfo.from_json(kept).notes == ()
