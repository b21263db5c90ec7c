"""The public functions: what a caller may give them, and what they say to anything else."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Union

if TYPE_CHECKING:
    import torch

    from aebuild.compile.front import Loaded
    from aebuild.compile.plan import Plan
    from aebuild.data.given import Given
    from aebuild.modules.autoencoder import Autoencoder
    from aebuild.results.experiment import Outcome
    from aebuild.results.open_run import OpenRun
    from aebuild.trainer.job import Manner
    from aebuild.trainer.progress.display import Display

Source: TypeAlias = Union[str, "os.PathLike[str]", Mapping[str, Any], "Loaded"]
Plugins: TypeAlias = Union[str, "os.PathLike[str]", Sequence[Union[str, "os.PathLike[str]"]]]
Settings: TypeAlias = str | Mapping[str, Any] | Sequence[str]


def load(source: Source, settings: Settings = (), *, data: Any = None, labels: Any = None, plugins: Plugins = ()) -> Loaded:
    """Reads and checks a spec; its `diagnostics` say what is wrong with it.

    `source` is a file, a run directory, the name of a shipped spec, or the spec as a dict. `settings` are changes of it:
    "train.epochs=5", several such, or {"train.epochs": 5}. `data` take the place of the spec's: a path, a known name, an array or
    tensor [n, ...], a data frame, or a dict of arrays named as in an .npz; `labels` are one for each sample, or the name of the column
    that holds them. `plugins` are Python files that declare parts, which are run; those that AEBUILD_PLUGINS names are too.
    TypeError for anything else, UsageError for a plug-in that cannot be loaded.
    """
    from aebuild.compile.front import Loaded
    from aebuild.compile.front import load as read
    from aebuild.compile.plugins import load_plugins
    from aebuild.results.opening import open_spec

    changes = _settings(settings)
    load_plugins(_files(plugins))
    if isinstance(source, Loaded):
        if changes or data is not None or labels is not None:
            raise TypeError("a loaded spec has its settings and data already; give them to load(), together with the path")
        return source
    given = _given(data, labels)
    if isinstance(source, Mapping):
        from aebuild.lang.dict_source import tree_of

        tree, found = tree_of(source)
        return Loaded("spec", diagnostics=found) if found else read("spec", changes, tree=tree, given=given)
    return open_spec(_path(source, "a spec is a path, the name of a shipped spec, a dict, or what load() gave"), changes, given)


def plan(source: Source, settings: Settings = (), *, data: Any = None, labels: Any = None, plugins: Plugins = ()) -> Plan:
    """Every node of a spec's model with its type, parameters and cost; SpecError or DataError with all findings."""
    return load(source, settings, data=data, labels=labels, plugins=plugins).require()


def build(source: Source | Plan, settings: Settings = (), *, data: Any = None, labels: Any = None, seed: int | None = None,
          plugins: Plugins = ()) -> Autoencoder:
    """The model of a spec or plan with freshly drawn weights, a plain nn.Module; `seed` replaces that of the spec."""
    from aebuild.compile.build import build as make
    from aebuild.compile.plan import Plan

    if isinstance(settings, int):
        raise TypeError("settings are 'path=value'; a seed is given as seed=…")
    if isinstance(source, Plan):
        if _settings(settings) or data is not None or labels is not None:
            raise TypeError("a plan has its settings and data already; give them to plan() or load()")
        return make(source, seed)
    return make(plan(source, settings, data=data, labels=labels, plugins=plugins), seed)


def train(source: Source, settings: Settings = (), *, data: Any = None, labels: Any = None, folder: str | os.PathLike[str] | None = None,
          parent: str | os.PathLike[str] = "runs", display: Display | None = None, manner: Manner | None = None,
          plugins: Plugins = ()) -> Outcome:
    """Trains a spec into a new run directory, evaluates it and draws its picture.

    The run is `folder`, or a new one in `parent`; `data` in memory are stored in it, so that it can be resumed and opened anywhere.
    Raises the AebuildError that tells what is wrong and how to mend it.
    """
    from aebuild.results.experiment import train as run
    from aebuild.trainer.job import PLAIN

    loaded = load(source, settings, data=data, labels=labels, plugins=plugins)
    where = None if folder is None else Path(_path(folder, "folder is a path"))
    return run(loaded, folder=where, parent=Path(_path(parent, "parent is a path")), display=display, manner=manner or PLAIN)


def open_run(folder: str | os.PathLike[str], device: str | torch.device = "cpu", *, plugins: Plugins = ()) -> OpenRun:
    """Brings a trained model back from its run directory, verified, in evaluation mode and without gradients.

    Plug-ins that its parts are from have to be named again, by `plugins` or AEBUILD_PLUGINS: a folder's code is not run because the
    folder says so. CheckpointError if one is not named, if the folder is no run, or if no checkpoint passes verification.
    """
    from aebuild.results.open_run import open_run as reopen

    return reopen(_path(folder, "a run is a path, as `train` gives it in outcome.run"), device, _files(plugins))


def _path(value: Any, wanted: str) -> str:
    if isinstance(value, str | os.PathLike):
        path = os.fspath(value)
        if isinstance(path, str):
            return path
    raise TypeError(f"{wanted}, not {type(value).__name__}")


def _given(data: Any, labels: Any) -> Given | None:
    """Data in place of the spec's, and their labels."""
    if data is None:
        if labels is not None:
            raise TypeError("labels belong to data=…; those of a spec's own data are named by data.label")
        return None
    from aebuild.data.given import given_data

    return given_data(data, labels)


def _files(plugins: Any) -> tuple[str, ...]:
    """The files of plug-ins, one or several."""
    wanted = "plugins are paths of Python files, or one such path"
    if isinstance(plugins, Sequence) and not isinstance(plugins, str | bytes):
        return tuple(_path(file, wanted) for file in plugins)
    return (_path(plugins, wanted),)


def _settings(settings: Any) -> tuple[str, ...]:
    """Settings as the command line has them."""
    if isinstance(settings, str):
        return (settings,)
    if isinstance(settings, Mapping):
        try:
            return tuple(f"{path}={json.dumps(value, ensure_ascii=False, default=os.fspath)}" for path, value in settings.items())
        except (TypeError, ValueError) as error:
            raise TypeError(f"the values of settings are numbers, text, lists and dicts of these: {error}") from None
    if isinstance(settings, Sequence) and not isinstance(settings, bytes) and all(isinstance(item, str) for item in settings):
        return tuple(settings)
    raise TypeError(f"settings are 'path=value', a list of such, or a dict of paths and values, not {settings!r}")
