"""The plug-ins of a run: code from a run directory is run only where the user names it again."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from aebuild.compile.plugins import loaded_plugins
from aebuild.lang.diagnostics import CheckpointError, Diagnostic, Hint, Rule, SpecError
from aebuild.trainer.run_dir.records import PluginRecord, recorded_plugins

UNNAMED = Rule("AE517", "a plug-in of this run was not named", """
The model of this run has parts of a plug-in, and a plug-in is a program. A folder may come from anybody, so what lies in it or
is named in it is never run because the folder says so: name the plug-in again with `--plugin`, in `AEBUILD_PLUGINS`, or with
`plugins=` in Python. The run holds a copy of it, to read or to name where the file itself is gone.

```console
$ aebuild train --resume runs/gated                              # refused
$ aebuild train --resume runs/gated --plugin ~/parts/gated.py    # goes on
```
""")
CHANGED = Rule("AE518", "a plug-in of this run has changed", """
The plug-in that was named has another text than the one this run was trained with (a SHA-256 of it is kept), so the training that
goes on may be another one. Name the copy in the run's folder `plugins`, or take the new text with `--allow`: that is written to
the run's log.

```console
$ aebuild train --resume runs/gated --plugin gated.py            # it was edited since: refused
$ aebuild train --resume runs/gated --plugin gated.py --allow    # goes on with gated.py as it is now
```
""")


def check_plugins(folder: Path, command: Callable[[Sequence[str]], str]) -> list[str]:
    """What is to be said of plug-ins that differ from those of the run; CheckpointError where one was not named.

    `command` makes of the files to name the advice that the error gives.
    """
    records, missing, told = recorded_plugins(folder), [], []
    for record in records:
        others = loaded_plugins()
        if any(plugin.sha256 == record.sha256 for plugin in others):
            continue
        name = Path(record.path).name
        other = next((plugin for plugin in others if str(plugin.path) == record.path or plugin.path.name == name), None)
        if other is None:
            missing.append(record)
        else:
            told.append(f"{other.path} has SHA-256 {other.sha256}, but this run was trained with {record.path} of SHA-256 {record.sha256}")
    if missing:
        raise CheckpointError(*_unnamed(folder, missing, command))
    return told


def check_unchanged(folder: Path, *, allow: bool) -> list[str]:
    """The same before a run goes on: SpecError where a plug-in has changed and that is not allowed."""
    def command(files: Sequence[str]) -> str:
        return shlex.join(["aebuild", "train", "--resume", str(folder), *(word for file in files for word in ("--plugin", file))])

    told = check_plugins(folder, command)
    if told and not allow:
        advice = Hint(f"name the copy in {folder / 'plugins'}, or give the same command with --allow")
        raise SpecError(*(Diagnostic(CHANGED, sentence, fix=advice) for sentence in told))
    return told


def options(files: Sequence[str]) -> str:
    """How the command line names plug-ins."""
    return shlex.join(word for file in files for word in ("--plugin", file))


def options_of(folder: Path) -> str:
    """What a command over this run needs besides, with a blank in front; nothing for most."""
    files = [record.path for record in recorded_plugins(folder)]
    return f" {options(files)}" if files else ""


def _unnamed(folder: Path, missing: Sequence[PluginRecord], command: Callable[[Sequence[str]], str]) -> list[Diagnostic]:
    copies = {record.path: str(folder / "plugins" / record.copy_) for record in missing}
    every = [record.path if os.path.isfile(record.path) or not os.path.isfile(copies[record.path]) else copies[record.path]
             for record in missing]
    return [Diagnostic(UNNAMED, f"this run has parts of the plug-in {record.path} (SHA-256 {record.sha256}), which was not named: "
                                f"{', '.join(record.parts)}", fix=command(every),
                       notes=(f"a plug-in is a program: read it before you name it; as it was it is kept in {copies[record.path]}",))
            for record in missing]
