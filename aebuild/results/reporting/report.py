"""The report of a run or of several: a page, Markdown or JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from aebuild import __version__
from aebuild.lang.diagnostics import AebuildError, Diagnostic, Hint, Rule, UsageError
from aebuild.lang.json_text import json_text
from aebuild.lang.printable import clean
from aebuild.results.answers import answers_of
from aebuild.results.reporting.campaign_tables import campaign_tables, is_campaign
from aebuild.results.reporting.comparison_page import ComparisonPage, comparison_page
from aebuild.results.reporting.run_page import Grid, RunPage, RunReader, Warned
from aebuild.results.run_table import runs_in
from aebuild.trainer.run_dir.folder import is_run

if TYPE_CHECKING:
    from jinja2 import Environment

Format = Literal["html", "md", "json"]
Told = TypeVar("Told")
MOST = 60            # runs of a page

NOTHING_TO_TELL = Rule("AE559", "nothing to report", """
A report is about one run directory, about several, or about all finished runs in a folder and below it. A folder without a finished run
has nothing to tell, and a page of very many runs is read by nobody.

```console
$ aebuild report empty-folder                        # refused
$ aebuild report runs                                # all finished runs there, side by side
$ aebuild report runs/vae -o vae.html
```
""")


def report(places: Sequence[Path], form: Format = "html", say: Callable[[str], object] = lambda sentence: None) -> str:
    """The report's text; `say` hears which runs of a folder are left out. UsageError if there is nothing to tell."""
    summaries = [table for place in places if is_campaign(place) for table in campaign_tables(place)]
    if form == "json":
        return json_text({"aebuild": __version__, "runs": list(_read(places, _as_json, say).values())}, 1) + "\n"
    read = _read(places, RunReader.page, say)
    pages, comparison = list(read.values()), comparison_page(list(read)) if len(read) > 1 else None
    if form == "md":
        return _markdown(pages, comparison, summaries)
    return _html(pages, comparison, _title(places, pages), summaries)


def _read(places: Sequence[Path], take: Callable[[RunReader], Told], say: Callable[[str], object]) -> dict[Path, Told]:
    """What is taken from each run; one that cannot be read is refused where it is named, and left out where a folder holds it."""
    found: dict[Path, Told] = {}
    for folder, named in _folders(places, say).items():
        try:
            found[folder] = take(RunReader(folder))
        except AebuildError as error:
            if named:
                raise
            say(f"{folder} is left out: {error.diagnostics[0].message}")
    if not found:
        told = ", ".join(map(str, places))
        raise UsageError(Diagnostic(NOTHING_TO_TELL, f"{told} holds no finished run", fix=Hint("aebuild runs FOLDER says what is there")))
    return found


def _folders(places: Sequence[Path], say: Callable[[str], object]) -> dict[Path, bool]:
    """The run directories that are named (True), and the finished ones in the folders."""
    found: dict[Path, bool] = {}
    for place in places:
        if is_run(place):
            found[place] = True
            continue
        first: set[str | None] = set()
        for facts in runs_in(place):
            if is_campaign(place) and facts.evaluation is not None and facts.spec in first:
                continue                                     # another seed of the same: the tables have its figures
            first.add(facts.spec)
            if facts.evaluation is None or facts.state == "damaged":
                say(f"{facts.folder} is left out: {facts.state}{': ' + clean(facts.reason) if facts.reason else ''}")
            else:
                found.setdefault(facts.folder, False)
    if len(found) > MOST:
        raise UsageError(Diagnostic(NOTHING_TO_TELL, f"{len(found):,} runs are more than the {MOST} of one page",
                                    fix=Hint("name those that matter")))
    return found


def _title(places: Sequence[Path], pages: Sequence[RunPage]) -> str:
    if len(pages) == 1:
        return clean(pages[0].plan.spec.name)
    return clean(f"{len(pages)} runs" + (f" of {places[0].resolve().name}" if len(places) == 1 else ""))


def _html(pages: Sequence[RunPage], comparison: ComparisonPage | None, title: str, summaries: Sequence[Grid]) -> str:
    environment = _environment()
    from markupsafe import Markup

    held = files("aebuild.results.reporting") / "templates"
    style, dark, script = (Markup((held / name).read_text(encoding="utf-8")) for name in ("style.css", "dark.css", "script.js"))
    first = pages[0]
    lead = f"{first.facts.spec} on {first.facts.data}" if comparison is None else ", ".join(clean(page.name) for page in pages)
    return environment.get_template("page.html").render(
        title=title, lead=lead, runs=pages, comparison=comparison, summaries=summaries, version=__version__, style=style,
        dark=dark, script=script, date=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"))


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(loader=PackageLoader("aebuild.results.reporting"), autoescape=True, undefined=StrictUndefined, trim_blocks=False)


def _as_json(reader: RunReader) -> dict[str, Any]:
    answers = {name: kept.to_json() for name, kept in answers_of(reader.run.folder).items()}
    return reader.facts.to_json() | {"answers": answers, "spec_text": reader.run.spec, "environment": reader.run_json("environment.json"),
                                     "curves": reader.run.journal.read()}


def _markdown(pages: Sequence[RunPage], comparison: ComparisonPage | None, summaries: Sequence[Grid]) -> str:
    parts = ["# Means over seeds", *map(_grid, summaries)] if summaries else []
    if comparison is not None:
        parts += ["# Comparison", *map(_warning, comparison.warnings), _grid(comparison.results),
                  *map(_grid, comparison.tasks), *([_grid(comparison.spec)] if comparison.spec.rows else [])]
    for page in pages:
        parts += [f"# {_plain(page.name)}", "\n".join(f"- {name}: {_plain(value)}" for name, value in page.tiles),
                  *map(_warning, page.warnings)]
        if page.results is not None:
            parts.append(_grid(page.results))
        for task in page.tasks:
            parts += [f"## {_plain(task.name)} ({task.judged})", _grid(task.figures),
                      *(f"> {_plain(note)}" for note in task.notes),
                      *(_grid(shown.table) for shown in task.exhibits if shown.table is not None)]
        parts += ["## Spec", f"```yaml\n{page.spec.rstrip()}\n```", "## How to reproduce", "```console\n" + "\n".join(
            f"$ {command}" for command in page.commands) + "\n```",
            _grid(page.environment)]
    return "\n\n".join(parts) + "\n"


def _warning(warned: Warned) -> str:
    """As a quotation, with what mends it as code."""
    fix = "".join(f"\n>     {line}" for line in map(clean, warned.fix.splitlines()))
    return f"> {warned.code} {_plain(warned.message)}" + (f"\n>\n> Fix:\n>{fix}" if fix else "")


def _grid(grid: Grid) -> str:
    """A Markdown table; the best of each is bold."""
    lines = [f"**{_plain(grid.title)}**", "", "| " + " | ".join(_plain(name) or " " for name in grid.columns) + " |",
             "|" + " --- |" * len(grid.columns)]
    for place, row in enumerate(grid.rows):
        cells = [f"**{_plain(cell)}**" if (place, column) in grid.best else _plain(cell) for column, cell in enumerate(row)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Text that means nothing in Markdown."""
    told = clean(text)
    return "".join(f"\\{char}" if char in "\\`*_[]<>|#" else char for char in told)
