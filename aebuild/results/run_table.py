"""A table of the runs in a folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from aebuild.lang.diagnostics import Diagnostic, Hint, Rule, UsageError
from aebuild.lang.printable import clean
from aebuild.results.run_facts import RunFacts, run_facts
from aebuild.trainer.progress.formatting import duration, number
from aebuild.trainer.run_dir.folder import FILES, is_run

NO_RUNS = Rule("AE550", "there is no such folder of runs", """
`aebuild runs` lists the run directories in a folder and in the folders below it, in `runs/` where none is named. A run that is broken
has a row of its own that says why.

```console
$ aebuild runs rusn        # there is no such folder: refused
$ aebuild runs             # what `aebuild train` left in runs/
```
""")
DEEPEST = 6       # folders below the one that was named
_SIGNS = frozenset({*FILES, "checkpoints", "metrics.jsonl", "origin.json"})
ENOUGH = 2        # signs of a run that make a folder without all of its files a broken one

SORTS: dict[str, Callable[[RunFacts], Any]] = {
    "started": lambda run: run.started, "name": lambda run: str(run.folder), "spec": lambda run: run.spec, "data": lambda run: run.data,
    "parameters": lambda run: run.parameters, "score": lambda run: run.score, "reconstruction": lambda run: run.reconstruction,
    "pca": lambda run: run.error_of_pca, "time": lambda run: run.seconds, "state": lambda run: run.state,
}


def runs_in(folder: Path) -> list[RunFacts]:
    """Every run in a folder, or the folder itself where it is one; UsageError if there is no such folder."""
    if not os.path.isdir(folder):
        hint = "it is made by `aebuild train`" if folder == Path("runs") else "give a folder of runs, or a run directory"
        raise UsageError(Diagnostic(NO_RUNS, f"there is no folder {folder}", fix=Hint(hint)))
    return [run_facts(found) for found in sorted(_found(folder))]


def _found(folder: Path, depth: int = 0) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            inside = {entry.name: entry.is_dir(follow_symlinks=depth < 1) for entry in entries}
    except OSError:
        yield folder                             # whose row says that it cannot be read
        return
    if is_run(folder) or len(_SIGNS & inside.keys()) >= ENOUGH:
        yield folder
    elif depth < DEEPEST:
        for name, is_folder in inside.items():
            if is_folder and not name.startswith("."):
                yield from _found(folder / name, depth + 1)


def ordered(runs: Sequence[RunFacts], by: str, *, backwards: bool = False) -> list[RunFacts]:
    """The runs by a column, small values first; those that have none come last."""
    key = SORTS[by]
    known = sorted((run for run in runs if key(run) is not None), key=key, reverse=backwards)
    return [*known, *(run for run in runs if key(run) is None)]


HEADS = ("run", "spec", "data", "parameters", "score", "reconstruction", "error ÷ PCA's", "time", "state")
TEXTS = {"run": 1, "spec": 10, "data": 10, "state": 8}                # columns of text, and the least width that they are wrapped to
DROPPED = ("data", "parameters", "error ÷ PCA's", "time", "spec", "reconstruction", "score")         # in this order, for lack of room
GAP = 2           # between columns


def run_table(runs: Sequence[RunFacts], folder: Path, width: int) -> tuple[Table, tuple[str, ...]]:
    """A row for each run, and the columns that so many characters of width have no room for.

    Names of runs stay on one line as long as they fit at all: specs, data and states are wrapped first, then whole columns left out.
    """
    rows = [_cells(run, folder) for run in runs]
    widths, dropped = _widths(rows, width)
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, GAP, 0, 0))
    for head, wide in widths.items():
        table.add_column(_shown(head), overflow="fold", justify="left" if head in TEXTS else "right", width=wide)
    for run, row in zip(runs, rows, strict=True):
        styles = {"state": "" if run.state == "finished" else "bold"}
        table.add_row(*(Text(row[head], styles.get(head, "")) for head in widths))
    return table, dropped


def _shown(head: str) -> str:
    """A head over its column."""
    return head.replace("÷ ", "÷\n")


def _cells(run: RunFacts, folder: Path) -> dict[str, str]:
    """What stands in each column of a run's row."""
    name = run.folder.name if run.folder == folder else os.path.relpath(run.folder, folder)
    figures = ["" if value is None else number(value) for value in (run.score, run.reconstruction, run.error_of_pca)]
    cells = (name, run.spec or "", run.data or "", f"{run.parameters:,}" if run.parameters is not None else "", *figures,
             duration(run.seconds) if run.seconds is not None else "", run.state)
    return dict(zip(HEADS, map(clean, cells), strict=True))


def _widths(rows: Sequence[dict[str, str]], width: int) -> tuple[dict[str, int], tuple[str, ...]]:
    """The width of each column that there is room for, and the others."""
    wanted = {head: max(cell_len(text) for text in (*(row[head] for row in rows), *_shown(head).split("\n")))
              for head in HEADS}
    least = {head: min(wanted[head], TEXTS.get(head, width) if head != "run" else width) for head in HEADS}

    def room() -> int:
        return width - sum(least.values()) - GAP * (len(least) - 1)

    dropped = [head for head in DROPPED if room() < 0 and least.pop(head)]
    least["run"] = max(TEXTS["run"], least["run"] + min(0, room()))              # a name longer than the line is wrapped after all
    for head in least:
        least[head] += min(max(0, room()), wanted[head] - least[head])
    return least, tuple(head for head in HEADS if head in dropped)


def reasons(runs: Sequence[RunFacts]) -> Iterator[str]:
    """Why those that are not finished are not, one line each."""
    for run in runs:
        if run.reason:
            yield clean(f"{run.folder}: {run.state}: {run.reason}")
