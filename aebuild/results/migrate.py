"""Specs and runs of earlier versions, written in the words of today."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from aebuild.compile.former_words import FORMER, migrated
from aebuild.compile.front import Loaded
from aebuild.lang.diagnostics import Diagnostic
from aebuild.lang.encoding import MAX_BYTES
from aebuild.lang.regular_files import read_regular
from aebuild.results.opening import open_spec
from aebuild.trainer.run_dir.atomic_files import replace_file
from aebuild.trainer.run_dir.folder import is_run
from aebuild.trainer.run_dir.run import Run


@dataclass(frozen=True)
class Migrated:
    """A file that was looked at, and the former words in it; those of a file that it extends are that file's."""

    file: Path
    found: tuple[Diagnostic, ...]
    loaded: Loaded


def migrate(place: Path, *, write: bool = True) -> Migrated:
    """Writes today's words into a spec or into the spec of a run; whatever else is wrong with it stands in `loaded`.

    BusyError if the run is being written, ResourceError if the disk refuses.
    """
    loaded = open_spec(place)
    file = place / "spec.yaml" if is_run(place) else place
    found = tuple(each for each in loaded.diagnostics if each.rule is FORMER and each.span is not None
                  and each.span.text.name == str(file))
    if found and write:
        if is_run(place):
            with Run.open(place, write=True) as run:
                _rewrite(file, found)
                origin = run.origin
                if origin is not None:
                    run.accept(run.spec, run.fingerprint, origin.root)
        else:
            _rewrite(file, found)
    return Migrated(file, found, loaded)


def _rewrite(file: Path, found: tuple[Diagnostic, ...]) -> None:
    text = read_regular(file, MAX_BYTES).decode("utf-8")          # it was read as such a moment ago
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    replace_file(file, (mark + migrated(text.removeprefix(mark), found)).encode())
