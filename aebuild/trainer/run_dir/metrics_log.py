"""metrics.jsonl: one JSON line per epoch and split, cut back to the checkpoint on resume."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from aebuild.lang.regular_files import open_regular
from aebuild.trainer.run_dir.atomic_files import storing
from aebuild.trainer.run_dir.records import mapping, not_a_run


class Journal:
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
