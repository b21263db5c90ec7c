"""Whether the data of a run are still those that it was trained on."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aebuild.compile.short_options import parse_setting
from aebuild.compile.spec_diff import Change, structure
from aebuild.data.fingerprint import fingerprint, unlike
from aebuild.lang.dataset import Known, OnDisk
from aebuild.lang.diagnostics import DataError, Diagnostic, Hint, Rule
from aebuild.lang.printable import clean
from aebuild.results.run_plan import info_of, plan_of
from aebuild.trainer.run_dir.run import Run, data_record

if TYPE_CHECKING:
    from aebuild.compile.plan import Plan
    from aebuild.lang.dataset import Dataset
    from aebuild.lang.splits import Splits
    from aebuild.trainer.progress.display import Display

OTHER_DATA = Rule("AE514", "the data are not those of this run", """
A run keeps a fingerprint of its data: columns and types, the number of samples, a hash of what was read, and for data that stay on
disk the names, sizes and times of the files with some of their samples. Here it differs, so that training would go on with other
data than it began with, and scores could not be compared. Put the old data back, or take the new ones with `--allow`: that is
written to the run's log, and the best model is found anew. Data of another shape need a new run.

```console
$ aebuild train --resume runs/vae                # a cell of its table was changed: refused
$ aebuild train --resume runs/vae --allow        # goes on with the table as it is now
```
""")
MOVED = Rule("AE515", "the data of this run are gone", """
A run knows where its data lie by an absolute path, and nothing is there any more. Tell where they are now: if they are the same,
nothing else changes, and no `--allow` is needed.

```console
$ aebuild train --resume runs/vae                                      # its data were moved: refused
$ aebuild train --resume runs/vae --set data.path=/new/place/x.csv     # the same data at their new place
```
""")
PLACES = ("data.path", "data.root")


def check_there(run: Run, data: Dataset, settings: Sequence[str] = ()) -> None:
    """DataError with the command that names their new place, beside these settings, if a run's data are not where they were."""
    if isinstance(data, OnDisk) and not os.path.exists(run.folder / data.path):
        given = (shlex.quote(setting) if setting.startswith("--") else f"--set {shlex.quote(setting)}" for setting in settings)
        command = " ".join([run.resume_command, *given])
        raise DataError(Diagnostic(MOVED, f"nothing is at {data.path}, where this run's data were", path="data.path",
                                   fix=f"{command} --set data.path=/new/place/{shlex.quote(Path(data.path).name)}"))


def check_not_moved(folder: Path, settings: Sequence[str]) -> None:
    """The same before a run's spec is changed by settings, unless they say where its data are."""
    if any(parsed.path in ("data", "data.path") for setting in settings if (parsed := parse_setting(setting)) is not None):
        return
    run = Run.open(folder)
    check_there(run, plan_of(run, info_of(run)).spec.data, settings)


def only_moved(run: Run, changes: Sequence[Change], splits: Splits) -> bool:
    """True if of the data nothing but their place changed, and at the new one are the same."""
    before = run.fingerprint
    if before is None or any(change.path.startswith("data") and change.path not in PLACES for change in changes):
        return False
    return not unlike(before, fingerprint(splits), moved=True)


def keep_watch(run: Run, plan: Plan, splits: Splits, display: Display, *, allow: bool) -> None:
    """DataError if the data differ from those the run was trained with; with `allow` they are taken, if the weights still fit."""
    origin, before, now = run.origin, run.fingerprint, fingerprint(splits)
    if origin is None or before is None:
        display.note("this run does not know what its data and spec were, as it is of an earlier version: from now on it does")
        run.accept(run.spec if origin is None else origin.spec, now, root_of(plan.spec.data) if origin is None else origin.root)
        return
    found = unlike(before, now)
    if not found:
        return
    told = "; ".join(found)
    if structure(plan_of(run, splits.info)) != structure(plan):
        raise DataError(Diagnostic(OTHER_DATA, f"the data of this run have changed, and its weights do not fit them any more: {told}",
                                   path="data", fix=Hint("put the old data back, or train a new run")))
    if not allow:
        raise DataError(Diagnostic(OTHER_DATA, f"the data of this run have changed: {told}", path="data",
                                   fix=Hint("put the old data back, or give the same command with --allow")))
    said = clean(f"other data, and training goes on with them: {told}")
    display.note(said)
    run.log(said)
    run.write("data.json", data_record(splits))
    run.accept(origin.spec, now, origin.root)


def root_of(data: Dataset) -> str | None:
    """The folder in which known data sets were found, for a shell where no variable names it."""
    if not isinstance(data, Known):
        return None
    from aebuild.data.remote_datasets import root

    return str(root().absolute())


def place_of(run: Run) -> Path | None:
    """Where a run looks for known data sets: as the environment says now, else where they were."""
    origin = run.origin
    kept = origin.root if origin is not None else None
    return Path(kept) if kept is not None and not os.environ.get("AEBUILD_DATA") and os.path.isdir(kept) else None
