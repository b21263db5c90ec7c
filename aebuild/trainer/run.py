"""Run directories: everything about one training, self-describing and written by one process."""

from __future__ import annotations

import json
import shlex
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from aebuild.lang.diagnostics import CheckpointError, Diagnostic, Rule
from aebuild.trainer.checkpoints import Checkpoints
from aebuild.trainer.durable import replace_file, replace_json, storing
from aebuild.trainer.journal import Journal
from aebuild.trainer.lock import Lock
from aebuild.trainer.recognise import lacking
from aebuild.trainer.reserve import reserved

if TYPE_CHECKING:
    from aebuild.lang.splits import Splits

NOT_A_RUN = Rule("AE502", "this is not a run directory", """
A run directory holds `spec.yaml`, `plan.json`, `data.json`, `environment.json` and `checkpoints`. Everything after
training reads only these files. Here one of them is missing or is not what it should be.

```console
$ aebuild train --resume runs                            # the folder above: refused
$ aebuild train --resume runs/vae-20260102-030405        # a run
```
""")


@dataclass
class Run:
    """A run directory.

    `spec.yaml` canonical spec · `plan.json` typed table · `data.json` the data and their scaling · `environment.json`
    versions, seed, device · `metrics.jsonl` one line per epoch and split · `checkpoints/step-N`, `checkpoints/best-N`
    after N batches of the whole run · `log.txt` what was said.
    """

    folder: Path
    lock: Lock | None = field(default=None, repr=False)

    @classmethod
    def create(cls, name: str, *, spec: str, plan: dict[str, Any], data: dict[str, Any], folder: Path | None = None,
               parent: Path = Path("runs")) -> Self:
        """A new, locked run directory in `folder`, or `parent`/NAME-YYYYmmdd-HHMMSS where none is given.

        UsageError if `folder` holds anything, BusyError if it is being written, ResourceError if the disk refuses.
        """
        run = cls(reserved(name, folder, parent))
        run.claim()
        replace_file(run.folder / "spec.yaml", spec.encode())
        replace_json(run.folder / "plan.json", plan)
        replace_json(run.folder / "data.json", data)
        return run

    @classmethod
    def open(cls, folder: Path, *, write: bool = False) -> Self:
        """An existing run; `write` locks it, as a resume needs.

        CheckpointError if it is no run, BusyError if it is being written.
        """
        missing = lacking(folder)
        if missing:
            reason = "there is no such folder" if not folder.is_dir() else f"it has no {missing[0]}"
            raise CheckpointError(Diagnostic(NOT_A_RUN, f"{folder} is not a run directory: {reason}",
                                             fix="give the directory that `aebuild train` printed"))
        run = cls(folder)
        if write:
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

    def __exit__(self, *_: object) -> None:
        self.close()

    @cached_property
    def checkpoints(self) -> Checkpoints:
        """The checkpoints, and which of them this process has verified."""
        return Checkpoints(self.folder / "checkpoints")

    @property
    def journal(self) -> Journal:
        """The metrics, one line per epoch and split."""
        return Journal(self.folder / "metrics.jsonl")

    @property
    def spec(self) -> str:
        """The canonical text of the spec."""
        return self._read("spec.yaml")

    @property
    def data(self) -> dict[str, Any]:
        """What the data are and how they were scaled, as given to `create`."""
        try:
            told: dict[str, Any] = json.loads(self._read("data.json"))
            return told
        except ValueError as error:
            raise CheckpointError(Diagnostic(NOT_A_RUN, f"{self.folder / 'data.json'} is not JSON: {error}")) from error

    @property
    def resume_command(self) -> str:
        """What to type to go on with this run."""
        return f"aebuild train --resume {shlex.quote(str(self.folder))}"

    def write(self, name: str, value: Any) -> Path:
        """Puts a JSON document into the run and returns its path."""
        replace_json(self.folder / name, value)
        return self.folder / name

    def revise(self, spec: str, plan: dict[str, Any], data: dict[str, Any]) -> str:
        """Replaces the spec and what follows from it, each file in one instant; returns the name the old spec is kept under."""
        number = 1
        while (self.folder / f"spec-{number}.yaml").exists():
            number += 1
        replace_file(self.folder / f"spec-{number}.yaml", self.spec.encode())
        replace_json(self.folder / "data.json", data)
        replace_file(self.folder / "spec.yaml", spec.encode())
        replace_json(self.folder / "plan.json", plan)
        return f"spec-{number}.yaml"

    def log(self, text: str) -> None:
        """Adds a line with the time to log.txt."""
        path = self.folder / "log.txt"
        with storing(path), path.open("a", encoding="utf-8") as stream:
            stream.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")

    def _read(self, name: str) -> str:
        try:
            return (self.folder / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CheckpointError(Diagnostic(NOT_A_RUN, f"cannot read {self.folder / name}: {error}")) from error


class Onlooker(Run):
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
