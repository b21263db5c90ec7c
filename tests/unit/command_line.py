"""The command line called within the process of a test."""

from __future__ import annotations

import sys

import pytest

from aebuild.cli import main


def called(words: tuple[object, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> tuple[object, str, str]:
    """Exit code, stdout and stderr of `aebuild` with these words."""
    monkeypatch.setattr(sys, "argv", ["aebuild", *map(str, words)])
    monkeypatch.setattr("aebuild.cli._leave", sys.exit)
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    return ended.value.code or 0, out, err
