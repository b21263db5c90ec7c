"""What a caller calls a spec, opened: a file, a shipped spec's name, or a run directory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from aebuild.compile.front import Loaded, load
from aebuild.compile.short_options import parse_setting
from aebuild.lang.diagnostics import CheckpointError
from aebuild.lang.samples import DataInfo
from aebuild.lang.suggest import closest
from aebuild.results.shipped import named
from aebuild.results.shipped import shipped as found
from aebuild.trainer.run_dir.folder import is_run

if TYPE_CHECKING:
    from aebuild.data.given import Given


def open_spec(path: str | Path, settings: Sequence[str] = (), given: Given | None = None) -> Loaded:
    """The spec of a file, of a run directory or exported folder, or of a shipped spec where no file of that name is there.

    A run's data may be gone: then what the run knows of them is taken. `given` are data in place of the spec's. `notes` say what was
    opened.
    """
    place = Path(path)
    inside = place.parent if place.name == "spec.yaml" else place
    told: Sequence[str] = ()
    if is_run(inside):
        from aebuild.results.run_plugins import check_plugins, options

        try:
            told = check_plugins(inside, options)
        except CheckpointError as error:
            return Loaded(str(path), diagnostics=list(error.diagnostics), error=CheckpointError)
    if is_run(place) or (place / "spec.yaml").is_file():
        loaded = load(place / "spec.yaml", settings, known=None if given or _changes_data(settings) else _known(place), given=given)
        loaded.notes.insert(0, f"{path} is a {'run directory' if is_run(place) else 'folder'}: its spec.yaml is taken")
        loaded.notes += told
        return loaded
    shipped = named(str(path)) if not place.exists() else None
    if shipped is None:
        beside = next((other for ending in (".yaml", ".yml") if (other := Path(f"{path}{ending}")).is_file()), None)
        if place.exists() or beside is None or place.suffix:
            loaded = load(path, settings, given=given)
            if not place.exists() and (best := closest(place.stem, found())) is not None:
                loaded.notes.append(f"a spec that comes with aebuild is called {best}; `aebuild specs` lists them")
            return loaded
        loaded = load(beside, settings, given=given)
        loaded.notes.append(f"{path}: the file {beside} is taken")
        return loaded
    loaded = load(shipped, settings, base=Path(), given=given)
    loaded.notes.append(f"{path}: the spec that comes with aebuild is taken, {shipped}")
    return loaded


def _changes_data(settings: Sequence[str]) -> bool:
    return any(parsed.path.split(".")[0] == "data" for setting in settings if (parsed := parse_setting(setting)) is not None)


def _known(run: Path) -> DataInfo | None:
    from aebuild.lang.regular_files import read_regular

    try:
        return DataInfo.from_json(json.loads(read_regular(run / "data.json", 2**24))["info"])
    except (OSError, KeyError, TypeError, ValueError, RecursionError):      # checking the spec needs it only where the data are gone
        return None
