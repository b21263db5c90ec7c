"""Samples as pictures within the page: strips, and sheets of thumbnails."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from aebuild.lang.values import Tokens
from aebuild.results.drawing import cell_size, draw_sample

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.compile.plan import Plan
    from aebuild.lang.samples import Form

GAP = 2
SMALL = 56            # longer side of a thumbnail


@dataclass(frozen=True)
class Sheet:
    """A picture of several samples in cells of one size, as a data URI."""

    uri: str
    width: int
    height: int
    count: int
    columns: int


class Drawer:
    """Draws samples of a run's target type within fixed limits."""

    def __init__(self, plan: Plan, form: Form | None, like: NDArray[Any] | None = None) -> None:
        self.plan, self.form = plan, form
        low, high = plan.bounds.low, plan.bounds.high
        if low is None or high is None:
            low, high = (float(like.min()), float(like.max())) if like is not None and like.size else (-3.0, 3.0)
        self.limits = (low, high)

    def strip(self, samples: NDArray[Any], behind: NDArray[Any] | None = None) -> Sheet:
        """Samples [n, ...] side by side."""
        return self._sheet(samples, behind, len(samples), None)

    def thumbnails(self, samples: NDArray[Any], columns: int = 40) -> Sheet:
        """Samples [n, ...] in a block, small."""
        return self._sheet(samples, None, columns, SMALL)

    def _sheet(self, samples: NDArray[Any], behind: NDArray[Any] | None, columns: int, longest: int | None) -> Sheet:
        wide, high = cell_size(self.plan.target, self.form)
        if longest is not None and max(wide, high) > longest:
            wide, high = max(1, round(wide * longest / max(wide, high))), max(1, round(high * longest / max(wide, high)))
        columns = min(columns, len(samples))
        lines = -(-len(samples) // max(columns, 1))
        canvas = Image.new("RGB", (max(1, columns * (wide + GAP) - GAP), max(1, lines * (high + GAP) - GAP)), "#808890")
        for place, sample in enumerate(samples):
            under = None if behind is None else behind[place]
            cell = draw_sample(self.plan.target, self._typed(sample), self.limits, under, self.form)
            if cell.size != (wide, high):
                cell = cell.resize((wide, high), Image.Resampling.LANCZOS)
            line, column = divmod(place, columns)
            canvas.paste(cell, (column * (wide + GAP), line * (high + GAP)))
        return Sheet(_uri(canvas), wide, high, len(samples), columns)

    def _typed(self, sample: NDArray[Any]) -> NDArray[Any]:
        return sample.astype(np.int64) if isinstance(self.plan.target, Tokens) else sample.astype(np.float32)


def _uri(picture: Image.Image) -> str:
    stored = BytesIO()
    picture.save(stored, "PNG", optimize=True)
    return file_uri(stored.getvalue(), "image/png")


def file_uri(content: bytes, kind: str) -> str:
    """Bytes as a data URI."""
    return f"data:{kind};base64,{b64encode(content).decode()}"
