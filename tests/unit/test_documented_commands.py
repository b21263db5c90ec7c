"""Every command that a page shows has a verb and options that exist; pages without a test that runs them could go stale otherwise."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import click
import pytest

from aebuild.cli.verbs import commands as cli

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "tutorials").glob("*.md")])
BLOCK = re.compile(r"^```(?:sh)?\n(.*?)^```$", re.M | re.S)
COMMAND = re.compile(r"^(?:\$ )?(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?(aebuild .*)$", re.M)


def commands(page: Path) -> list[str]:
    """The lines of a page's blocks that call the program, continued lines joined."""
    joined = [block.replace("\\\n", " ") for block in BLOCK.findall(page.read_text(encoding="utf-8"))]
    return [line for block in joined for line in COMMAND.findall(block)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_have_verbs_and_options_that_exist(page: Path) -> None:
    for line in commands(page):
        words = [word for word in shlex.split(line.partition(" | ")[0].partition(" > ")[0], comments=True)[1:] if word not in ("&&", "&")]
        if words and words[0] not in ("--help", "--version"):
            parse(words, line)


def parse(words: list[str], line: str) -> None:
    """Reads the words as the program would, without doing anything."""
    verb = cli.get_command(click.Context(cli), words[0])
    assert verb is not None, line
    context = click.Context(verb, info_name=words[0], **verb.context_settings)
    try:
        verb.make_parser(context).parse_args([word for word in words[1:] if not re.fullmatch(r"\[.*\]|…|\.\.\.", word)])
    except click.UsageError as error:
        pytest.fail(f"{line}: {error.message}")


def test_the_table_of_pages_has_them_all() -> None:
    table = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    missing = [page.name for page in (ROOT / "docs").glob("*.md") if page.name != "README.md" and f"]({page.name})" not in table]
    tutorials = (ROOT / "docs" / "tutorials" / "README.md").read_text(encoding="utf-8")
    missing += [page.name for page in (ROOT / "docs" / "tutorials").iterdir() if page.name != "README.md" and f"]({page.name})" not in tutorials]
    assert not missing


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cells, one after the other; `make site` runs it in a kernel and shows what it prints."""
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for cell in json.loads((ROOT / "docs" / "tutorials" / "notebook.ipynb").read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), "notebook", "exec"), names)
    assert names["codes"].shape == (500, 8)
