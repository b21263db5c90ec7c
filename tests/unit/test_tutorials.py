"""The pages that show commands: every block is run, in order, in an empty folder, as a reader would."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from command_line import called

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [DOCS / "anomaly.md", DOCS / "using.md", *sorted((DOCS / "tutorials").glob("*.md"))]
BLOCK = re.compile(r"^```(sh|python|yaml)\n(.*?)^```$", re.M | re.S)


def blocks(page: Path) -> list[tuple[str, str]]:
    """Programs and commands in order, the specs first: each is written to the file that its `name` says."""
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return sorted(found, key=lambda block: block[0] != "yaml")


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_shows_works(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    told = ""
    for kind, text in blocks(page):
        if kind == "yaml":
            Path(f"{re.search(r'^name: (.+)$', text, re.M)[1]}.yaml").write_text(text)
        elif kind == "python":
            exec(compile(text, str(page), "exec"), {})
        else:
            for line in text.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                assert words[0] == "aebuild"
                code, out, err = called(tuple(words[1:]), monkeypatch, capsys)
                assert code == 0, (line, err)
                told += out + err
    assert not list(tmp_path.glob("*.partial*"))
    for promised in re.findall(r"^The table on the screen names .* `(\w+)`", page.read_text(encoding="utf-8"), re.M):
        assert promised in told
