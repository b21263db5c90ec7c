"""The checkpoints of a run: two verified ones of each kind, whenever the process dies."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aebuild.lang.diagnostics import CheckpointError, Diagnostic, Hint, Rule
from aebuild.trainer.checkpoints.checkpoint import Checkpoint, read_folder, write_folder
from aebuild.trainer.checkpoints.reader import Damaged
from aebuild.trainer.run_dir.atomic_files import storing, sync_folder

KEPT = 2      # verified checkpoints of each kind
NO_CHECKPOINT = Rule("AE503", "no checkpoint can be trusted", """
Every checkpoint carries the size and the SHA-256 of its files. A file that is missing, cut short or changed in a single
bit makes the whole checkpoint unusable, because a flipped bit in a weight is silent. The newest two of each kind are
kept; here none passed. If the run was copied, copy it again from its source; otherwise train anew.

```console
$ aebuild train --resume runs/vae-20260102-030405     # every checkpoint is damaged: refused
$ aebuild train vae                        # a new run
```
""")
_NAME = re.compile(r"(\.new-|\.old-)?(step|best)-(0|[1-9][0-9]{0,17})")
_RANK = {"": 0, ".new-": 1, ".old-": 2}


@dataclass(frozen=True)
class Loaded:
    """A verified checkpoint, its name, and why better ones were passed over."""

    checkpoint: Checkpoint
    name: str
    passed_over: tuple[str, ...] = ()


@dataclass(frozen=True)
class Entry:
    """A folder that is or was to be a checkpoint: its kind, its step, and what stage of a replacement its name tells."""

    folder: str
    stage: str
    kind: str
    step: int

    @property
    def name(self) -> str:
        """The name of the checkpoint, whatever the stage."""
        return f"{self.kind}-{self.step}"


class Checkpoints:
    """`step-N` and `best-N`, where N counts the batches of the whole run.

    A new one is written beside the others as .new-step-N and renamed; one of the same N becomes .old-step-N before. Old
    ones go only afterwards: at least two that this process wrote or loaded with all hashes right are left of each kind.
    Whenever the process dies, a verified folder is left if one was ever saved.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._good: set[str] = set()
        self._lost: set[str] = set()

    def save(self, name: str, checkpoint: Checkpoint, write: Callable[[Path, Any], None] = write_folder) -> None:
        """Makes this the checkpoint of that name; ResourceError if the disk refuses, the old ones stay whole then.

        `write` makes the folder and returns when all of it is on the disk; OSError if it cannot.
        """
        fresh, plain = self.folder / f".new-{name}", self.folder / name
        with storing(plain):
            self._clear(fresh, name)
            try:
                write(fresh, checkpoint)
            except OSError:
                shutil.rmtree(fresh, ignore_errors=True)
                raise
            self._install(fresh, name)

    def _clear(self, fresh: Path, name: str) -> None:
        """Makes room for a fresh one: a leftover goes, or takes its place first if it is the good one of its step."""
        if fresh.name in self._good and name not in self._good:
            self._install(fresh, name)
        elif fresh.exists():
            shutil.rmtree(fresh)

    def _install(self, fresh: Path, name: str) -> None:
        plain, old = self.folder / name, self.folder / f".old-{name}"
        if plain.exists() and name not in self._good and old.name in self._good:
            _clear_away(plain)               # damaged, and the good one stands behind it
        elif os.path.lexists(plain):
            _clear_away(old)
            plain.rename(old)
            for names in (self._good, self._lost):
                names.add(old.name) if name in names else names.discard(old.name)
        fresh.rename(plain)
        sync_folder(self.folder)
        self._good.discard(fresh.name)
        self._good.add(name)
        self._lost.discard(name)

    def prune(self) -> None:
        """Removes what is no longer needed; never one of the two newest verified of a kind."""
        with storing(self.folder):
            for entry in self.entries():
                if entry.folder in self._lost:
                    self._remove(entry)
            for kind in ("step", "best"):
                entries = self.entries(kind)
                good = [entry for entry in entries if entry.folder in self._good]
                good.sort(key=lambda entry: bool(entry.stage))                   # stable: newest first, whole names before others
                if len(good) >= KEPT:
                    for entry in entries:
                        if entry not in good[:KEPT]:
                            self._remove(entry)
        self._lost.clear()

    def _remove(self, entry: Entry) -> None:
        _clear_away(self.folder / entry.folder)
        self._good.discard(entry.folder)

    def forget_after(self, step: int) -> None:
        """Best ones beyond this step belong to a timeline that is given up; the next `prune` removes them."""
        self._lost = {entry.folder for entry in self.entries("best") if entry.step > step}

    def entries(self, *kinds: str) -> list[Entry]:
        """Every folder of these kinds, or of both, the newest first; of one step in the order in which they are trusted."""
        try:
            names = [path.name for path in self.folder.iterdir()]
        except FileNotFoundError:
            return []
        except NotADirectoryError as error:
            raise CheckpointError(Diagnostic(NO_CHECKPOINT, f"{self.folder} is not a folder",
                                             fix=Hint("copy the run again from its source, or train anew"))) from error
        found = [Entry(name, match[1] or "", match[2], int(match[3])) for name in names if (match := _NAME.fullmatch(name))]
        wanted = kinds or ("step", "best")
        return sorted((entry for entry in found if entry.kind in wanted),
                      key=lambda entry: (wanted.index(entry.kind), -entry.step, _RANK[entry.stage]))

    def begun(self) -> bool:
        """False only where no checkpoint was ever completed."""
        return any((self.folder / entry.folder / "manifest.json").exists() or not entry.stage for entry in self.entries())

    def load(self, *kinds: str, upto: int | None = None, read: Callable[[Path], Checkpoint] = read_folder) -> Loaded:
        """The newest of the first kind that passes verification, else of the second; `upto` leaves out later best ones.

        CheckpointError if none does; the damaged ones are named in either case. A fresh one without its manifest was
        never completed, so it is no damage. `read` verifies what it returns, or raises Damaged.
        """
        passed_over: list[str] = []
        for entry in self.entries(*kinds):
            folder = self.folder / entry.folder
            if upto is not None and entry.kind == "best" and entry.step > upto:
                continue
            if entry.stage == ".new-" and not (folder / "manifest.json").exists():
                continue
            try:
                loaded = Loaded(read(folder), entry.name, tuple(passed_over))
            except Damaged as damage:
                passed_over.append(f"{folder} is damaged: {damage}")
                continue
            self._good.add(entry.folder)
            return loaded
        message = "; ".join(passed_over) or f"{self.folder} holds no checkpoint"
        raise CheckpointError(Diagnostic(NO_CHECKPOINT, message, fix=Hint("copy the run again from its source, or train anew")))


def _clear_away(path: Path) -> None:
    """Removes a checkpoint's folder, or whatever else stands under its name."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
