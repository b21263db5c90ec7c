"""Specs whose paths lead to the same places from anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aebuild.compile.losses import with_layers
from aebuild.lang.dataset import Known, OnDisk
from aebuild.lang.terms import Penalty

if TYPE_CHECKING:
    from pathlib import Path

    from aebuild.compile.spec import Spec
    from aebuild.lang.dataset import Dataset
    from aebuild.lang.training import Start


def absolute_data(data: Dataset, base: Path) -> Dataset:
    """The data with absolute paths in place of those relative to `base`."""
    if isinstance(data, OnDisk):
        return data.located(base)
    if isinstance(data, Known) and data.root is not None:
        return data.but(root=str((base / data.root).absolute()))
    return data


def absolute_start(start: Start | None, base: Path) -> Start | None:
    """The run whose weights a phase begins with, likewise."""
    return None if start is None else start.but(run=str((base / start.run).absolute()))


def absolute(spec: Spec, base: Path) -> Spec:
    """The spec with all its paths absolute."""
    phases = [phase.but(start=absolute_start(phase.start, base)) for phase in spec.train.phases]
    moved: dict[str, Any] = {"train": spec.train.but(phases=phases)} if any(phase.start for phase in phases) else {}
    if any(isinstance(term, Penalty) for term in spec.losses.terms.values()):
        terms = {name: term.kept(base) if isinstance(term, Penalty) else term for name, term in spec.losses.terms.items()}
        moved["losses"] = spec.losses.but(terms=terms)
    if spec.evaluate.tasks:
        moved["evaluate"] = spec.evaluate.but(tasks=[task.settled(base) for task in spec.evaluate.tasks])
    return with_layers(spec, lambda layer: layer.kept(base)).but(data=absolute_data(spec.data, base), **moved)
