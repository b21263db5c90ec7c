"""The tables and photographs that come with scikit-learn."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from aebuild.data.probe import Outline
from aebuild.lang.values import Value

if TYPE_CHECKING:
    from aebuild.data.raw_samples import Raw


def read_bundled(loader: str, outline: Outline) -> Raw:
    """One of scikit-learn's labelled tables, as the outline's type; bytes where it has bounds."""
    import numpy as np

    from aebuild.data.raw_samples import Raw, Stored

    table: Any = getattr(importlib.import_module("sklearn.datasets"), loader)()
    samples = np.asarray(table.data, np.float64 if outline.bounds is None else np.uint8).reshape(-1, *outline.value.shape)
    return Raw(outline, {"train": Stored(samples, _as_it_is(outline.value), loader.removeprefix("load_"))},
               {"train": np.asarray(table.target, np.int64)})


def photographs() -> list[Any]:
    """The two sample photographs, uint8 [427, 640, 3]: a Chinese temple and a flower."""
    module: Any = importlib.import_module("sklearn.datasets")
    return [module.load_sample_image(name) for name in ("china.jpg", "flower.jpg")]


def _as_it_is(value: Value) -> Any:
    from aebuild.data.axes import Layout

    return Layout(value)
