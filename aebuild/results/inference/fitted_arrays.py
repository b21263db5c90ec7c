"""What is fitted to a run's data afterwards, kept in the run as arrays of one file, and tied to the weights that it was fitted with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from aebuild.trainer.run_dir.atomic_files import replace_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.results.trained_run import TrainedRun


def write_fitted(run: TrainedRun, name: str, version: str, arrays: Mapping[str, NDArray[Any]], **about: str) -> None:
    """Writes NAME.safetensors into the run; `version` is that of its form."""
    from safetensors.numpy import save

    held = {key: np.ascontiguousarray(array) for key, array in arrays.items()}
    replace_file(run.run.folder / f"{name}.safetensors", save(held, {"format": version, "kept": run.kept, **about}))


def read_fitted(run: TrainedRun, name: str, version: str) -> tuple[dict[str, str], dict[str, NDArray[Any]]] | None:
    """What it says about itself and its arrays; None if it is not there, damaged, of another form or of other weights."""
    from safetensors import SafetensorError, safe_open

    path = run.run.folder / f"{name}.safetensors"
    try:
        with safe_open(str(path), "numpy") as file:
            about: dict[str, str] = file.metadata() or {}
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # it is no mapping
    except (SafetensorError, OSError, ValueError):
        return None
    return (about, arrays) if (about.get("format"), about.get("kept")) == (version, run.kept) else None
