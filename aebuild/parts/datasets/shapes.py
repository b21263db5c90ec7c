"""Images drawn from known factors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.data.probe import Outline, describe, plural
from aebuild.lang.dataset import DataInfo, Divided, Labelled, Sampled, Where
from aebuild.lang.part import knob
from aebuild.lang.samples import Factor
from aebuild.lang.values import Grid

if TYPE_CHECKING:
    from aebuild.data.raw_samples import Raw

CLASSES = ("square", "ellipse", "triangle")
FACTORS = (Factor("shape", 3, ordered=False), Factor("scale", 6), Factor("orientation", 10), Factor("x", 16), Factor("y", 16))


class Shapes(Sampled, Divided, Labelled):
    """Grey images of one shape each, drawn by a program from five factors that are known: shape, scale, orientation, x and y.

    For measures of disentanglement, as dSprites (Matthey et al., 2017) is, but no file is needed. The factors of a sample are independent
    of each other; its label is its shape.
    """

    type: Literal["shapes"] = "shapes"
    example = "data: {type: shapes, samples: 60, pixels: 9, seed: 1, limit: 30, labels: 20, split: {validation: 10, test: 0.3, seed: 4}}"
    also = ("dsprites", "sprites")
    samples: int = knob(10_000, "how many images are drawn, for all splits together", affects="data", ge=1, le=1_000_000)
    pixels: int = knob(32, "height and width", affects="data", ge=8, le=256)
    seed: int = knob(0, "seed of the factors", affects="data", ge=0, lt=2**32)

    def probe(self, where: Where) -> DataInfo:
        """Known without drawing."""
        return describe(self, self._outline)

    def read(self, where: Where) -> Raw:
        """Images [n, 1, pixels, pixels] with their labels and factors."""
        from aebuild.data.axes import Layout
        from aebuild.data.drawn_shapes import draw_shapes, drawn_factors
        from aebuild.data.raw_samples import Raw, Stored

        factors, outline = drawn_factors(self.samples, self.seed), self._outline
        drawn = Stored(draw_shapes(factors, self.pixels), Layout(outline.value), "shapes", word="image")
        return Raw(outline, {"train": drawn}, {"train": factors[:, 0].copy()}, factors={"train": factors})

    @property
    def _outline(self) -> Outline:
        return Outline(Grid(1, (self.pixels, self.pixels)), {"train": self.samples},
                       f"shapes: {plural(self.samples, 'image')} of {self.pixels}×{self.pixels} grey pixels, drawn from "
                       f"{', '.join(factor.name for factor in FACTORS)}; no file needed",
                       bounds=(0.0, 255.0), labelled=True, class_names=CLASSES, factors=FACTORS)
