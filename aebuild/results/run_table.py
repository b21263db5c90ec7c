"""A table of the runs in a folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

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


def run_table(runs: Sequence[RunFacts], folder: Path) -> Table:
    """A row for each run."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("run", overflow="fold")
    for column in ("spec", "data"):
        table.add_column(column, overflow="fold")
    for column in ("parameters", "score", "reconstruction", "error ÷ PCA's", "time"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("state", overflow="fold", min_width=8)
    for run in runs:
        name = run.folder.name if run.folder == folder else os.path.relpath(run.folder, folder)
        figures = [f"{run.parameters:,}" if run.parameters is not None else "",
                   *("" if value is None else number(value) for value in (run.score, run.reconstruction, run.error_of_pca)),
                   duration(run.seconds) if run.seconds is not None else ""]
        table.add_row(*(Text(clean(text)) for text in (name, run.spec or "", run.data or "", *figures)),
                      Text(run.state, "" if run.state == "finished" else "bold"))
    return table


def reasons(runs: Sequence[RunFacts]) -> Iterator[str]:
    """Why those that are not finished are not, one line each."""
    for run in runs:
        if run.reason:
            yield clean(f"{run.folder}: {run.state}: {run.reason}")
