"""Run directories: everything about one training, self-describing and written by one process."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from aebuild.lang.diagnostics import CheckpointError, Diagnostic, Hint
from aebuild.lang.regular_files import open_regular
from aebuild.trainer.run_dir.atomic_files import copy_file, replace_file, replace_json, storing
from aebuild.trainer.run_dir.folder import Lock, lacking, remove_empty, reserved
from aebuild.trainer.run_dir.records import (
    NOT_A_RUN,
    PLUGINS,
    Origin,
    PluginRecord,
    check_regular,
    mapping,
    mapping_in,
    not_a_run,
    read_document,
    record_in,
    recorded_plugins,
)

if TYPE_CHECKING:
    from aebuild.compile.plugins import Plugin
    from aebuild.lang.splits import Splits
    from aebuild.trainer.checkpoints.rotation import Checkpoints

ORIGIN = "origin.json"
_UNUSUAL = re.compile(r"[^A-Za-z0-9._-]")


class MetricsLog:
    """The metrics of a run, one line of JSON a record, appended while training."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, record: dict[str, Any]) -> None:
        """Adds one line; ResourceError if the disk refuses."""
        with storing(self.path), self.path.open("ab") as stream:
            stream.write((json.dumps(record, ensure_ascii=False) + "\n").encode())

    def length(self) -> int:
        """Its length in bytes, which a checkpoint remembers."""
        return self.path.stat().st_size if self.path.exists() else 0

    def sync(self) -> None:
        """Waits until the disk has every line."""
        if self.path.exists():
            with storing(self.path), self.path.open("ab") as stream:
                os.fsync(stream.fileno())

    def cut(self, length: int) -> None:
        """Forgets what was written after the checkpoint that remembers this length."""
        if self.path.exists() and self.path.stat().st_size > length:
            with storing(self.path):
                os.truncate(self.path, length)

    def read(self) -> list[dict[str, Any]]:
        """Every complete record; a last line cut short by a crash is left out."""
        if not self.path.exists():
            return []
        with not_a_run(self.path), open_regular(self.path) as stream:
            return [mapping(line, str(self.path)) for line in stream if line.endswith(b"\n") and line.strip()]


@dataclass
class Run:
    """A run directory.

    `spec.yaml` canonical spec · `plan.json` typed table · `data.json` the data and their scaling · `data.npz`, `.csv` or
    `.jsonl` the data themselves where they were given in memory · `origin.json` the spec as it was
    accepted and the data's fingerprint · `plugins.json`, `plugins` the plug-ins that its parts are from, if any ·
    `environment.json` versions, seed, device · `snapshots` reconstructions of a few samples on the way ·
    `tasks` answers of evaluation tasks · `metrics.jsonl` one line per epoch and split ·
    `checkpoints/step-N`, `checkpoints/best-N` after N batches of the whole run · `log.txt` what was said.
    """

    folder: Path
    lock: Lock | None = field(default=None, repr=False)
    made: list[Path] = field(default_factory=list, repr=False)
    worth_keeping: bool = True

    @classmethod
    def create(cls, name: str, *, spec: str, plan: dict[str, Any], data: dict[str, Any], folder: Path | None = None,
               parent: Path = Path("runs"), fingerprint: dict[str, Any] | None = None, root: str | None = None,
               plugins: Sequence[Plugin] = (), own_data: Path | None = None) -> Self:
        """A new, locked run directory in `folder`, or `parent`/NAME-YYYYmmdd-HHMMSS where none is given.

        `fingerprint` is that of the data, `root` the folder of known data sets, `plugins` are those its parts are
        from, `own_data` a file to be copied into it. UsageError if `folder` holds anything, BusyError if it is being written,
        ResourceError if the disk refuses. An error that leaves its context before anything was trained removes it.
        """
        place, made = reserved(name, folder, parent)
        run = cls(place, made=made, worth_keeping=False)
        run.claim()
        try:
            if own_data is not None:
                copy_file(own_data, run.folder / own_data.name)
            replace_file(run.folder / "spec.yaml", spec.encode())
            run.accept(spec, fingerprint, root)
            run.remember(plugins)
            replace_json(run.folder / "plan.json", plan)
            replace_json(run.folder / "data.json", data)
        except BaseException as error:
            run.__exit__(type(error))
            raise
        return run

    @classmethod
    def open(cls, folder: Path, *, write: bool = False) -> Self:
        """An existing run; `write` locks it, as a resume needs.

        CheckpointError if it is no run, BusyError if it is being written.
        """
        missing = lacking(folder)
        if missing:
            reason = "there is no such folder" if not os.path.isdir(folder) else f"it has no {missing[0]}"
            raise CheckpointError(Diagnostic(NOT_A_RUN, f"{folder} is not a run directory: {reason}",
                                             fix=Hint("give the directory that `aebuild train` printed")))
        run = cls(folder)
        if write:
            check_regular(folder)
            run.claim()
        return run

    def claim(self) -> None:
        """Takes the lock; BusyError if another process has it."""
        self.lock = self.lock or Lock(self.folder / "lock")

    def close(self) -> None:
        """Gives the lock back."""
        if self.lock is not None:
            self.lock.release()
            self.lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and not self.worth_keeping:
            self._remove()
        self.close()

    def _remove(self) -> None:
        """Takes away what stands in the folder, which was empty, and the folders that `create` made."""
        for path in self.folder.iterdir():
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
        remove_empty(self.made)

    @cached_property
    def checkpoints(self) -> Checkpoints:
        """The checkpoints, and which of them this process has verified."""
        from aebuild.trainer.checkpoints.rotation import Checkpoints  # needs torch, which a list of runs does without

        return Checkpoints(self.folder / "checkpoints")

    @property
    def journal(self) -> MetricsLog:
        """The metrics, one line per epoch and split."""
        return MetricsLog(self.folder / "metrics.jsonl")

    @property
    def spec(self) -> str:
        """The canonical text of the spec."""
        path = self.folder / "spec.yaml"
        try:
            return read_document(path).decode("utf-8")
        except UnicodeDecodeError as error:
            raise CheckpointError(Diagnostic(NOT_A_RUN, f"cannot read {path}: {error}")) from error

    @property
    def origin(self) -> Origin | None:
        """What it was trained with; None for a run of a version that did not write it."""
        return record_in(self.folder / ORIGIN, Origin) if os.path.lexists(self.folder / ORIGIN) else None

    @property
    def fingerprint(self) -> dict[str, Any] | None:
        """That of the data it was trained with, as `accept` wants it."""
        origin = self.origin
        return origin.data.model_dump(by_alias=True) if origin is not None and origin.data is not None else None

    def accept(self, spec: str, fingerprint: dict[str, Any] | None, root: str | None) -> None:
        """From now on this spec and these data are the ones it was trained with."""
        replace_json(self.folder / ORIGIN, {"spec": spec, "data": fingerprint, "root": root})

    @property
    def plugins(self) -> list[PluginRecord]:
        """The plug-ins that its parts are from, as they were when it was trained last."""
        return recorded_plugins(self.folder)

    def remember(self, plugins: Sequence[Plugin]) -> None:
        """From now on its parts are from these plug-ins; each is copied into the run, where nothing ever runs it by itself."""
        if not plugins and not os.path.lexists(self.folder / PLUGINS):
            return
        records = []
        for plugin in plugins:
            hashed = f"-{plugin.sha256[:12]}"
            copy = f"{_UNUSUAL.sub('_', plugin.path.stem.removesuffix(hashed))[:60]}{hashed}.py"
            with storing(self.folder / "plugins"):
                (self.folder / "plugins").mkdir(exist_ok=True)
            replace_file(self.folder / "plugins" / copy, plugin.source)
            records.append({"path": str(plugin.path), "sha256": plugin.sha256, "copy": copy, "parts": plugin.names})
        replace_json(self.folder / PLUGINS, {"plugins": records})

    @property
    def data(self) -> dict[str, Any]:
        """What the data are and how they were scaled, as given to `create`."""
        return mapping_in(self.folder / "data.json")

    @property
    def resume_command(self) -> str:
        """What to type to go on with this run."""
        words = ["aebuild", "train", "--resume", str(self.folder), *(word for each in self.plugins for word in ("--plugin", each.path))]
        return shlex.join(words)

    def write(self, name: str, value: Any) -> Path:
        """Puts a JSON document into the run and returns its path."""
        replace_json(self.folder / name, value)
        return self.folder / name

    def revise(self, spec: str, plan: dict[str, Any], data: dict[str, Any]) -> str:
        """Replaces the spec and what follows from it, each file in one instant; returns the name the old spec is kept under."""
        number = 1
        while os.path.lexists(self.folder / f"spec-{number}.yaml"):
            number += 1
        origin = self.origin
        replace_file(self.folder / f"spec-{number}.yaml", (origin.spec if origin is not None else self.spec).encode())
        replace_json(self.folder / "data.json", data)
        replace_file(self.folder / "spec.yaml", spec.encode())
        replace_json(self.folder / "plan.json", plan)
        return f"spec-{number}.yaml"

    def log(self, text: str) -> None:
        """Adds a line with the time to log.txt."""
        path = self.folder / "log.txt"
        with storing(path), path.open("a", encoding="utf-8") as stream:
            stream.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")


class ReadOnlyRun(Run):
    """A run that another process writes; this one leaves it alone."""

    def write(self, name: str, value: Any) -> Path:
        """Nothing."""
        return self.folder / name

    def log(self, text: str) -> None:
        """Nothing."""


def data_record(splits: Splits) -> dict[str, Any]:
    """What `data.json` holds: the data as they were, and how to scale more of them alike."""
    return {"info": splits.info.to_json(), "scaling": splits.scaling.to_json(),
            "target_scaling": splits.target_scaling.to_json() if splits.target_scaling is not None else None}
