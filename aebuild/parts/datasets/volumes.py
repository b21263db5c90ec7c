"""Volumes drawn from known factors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.data.probe import Outline, describe, plural
from aebuild.lang.dataset import DataInfo, Divided, Labelled, Sampled, Where
from aebuild.lang.part import knob
from aebuild.lang.samples import Factor
from aebuild.lang.values import Grid

if TYPE_CHECKING:
    from aebuild.data.raw_samples import Raw

CLASSES = ("ball", "box", "rod")
FACTORS = (Factor("solid", 3, ordered=False), Factor("size", 5), Factor("x", 8), Factor("y", 8), Factor("z", 8))


class Volumes(Sampled, Divided, Labelled):
    """Grey volumes with one solid each, drawn by a program from five factors that are known: solid, size, x, y and z.

    They are to grids of three axes what `shapes` is to images; no file is needed. The factors of a sample are independent of each other;
    its label is its solid.
    """

    type: Literal["volumes"] = "volumes"
    example = ("data: {type: volumes, samples: 60, voxels: 8, seed: 1, limit: 30, labels: 20, "
               "split: {validation: 10, test: 0.3, seed: 4}}\n"
               "encoder: [conv: {width: 2, stride: 2}]\n"
               "train: {steps: 2, batch_size: 3}")
    also = ("voxels", "solids", "shapes3d")
    samples: int = knob(4_000, "how many volumes are drawn, for all splits together", affects="data", ge=1, le=1_000_000)
    voxels: int = knob(24, "edge of a volume", affects="data", ge=8, le=128)
    seed: int = knob(0, "seed of the factors", affects="data", ge=0, lt=2**32)

    def probe(self, where: Where) -> DataInfo:
        """Known without drawing."""
        return describe(self, self._outline)

    def read(self, where: Where) -> Raw:
        """Volumes [n, 1, voxels, voxels, voxels] with their labels and factors."""
        from aebuild.data.axes import Layout
        from aebuild.data.drawn_volumes import draw_volumes, drawn_volume_factors
        from aebuild.data.raw_samples import Raw, Stored

        factors, outline = drawn_volume_factors(self.samples, self.seed), self._outline
        drawn = Stored(draw_volumes(factors, self.voxels), Layout(outline.value), "volumes", word="volume")
        return Raw(outline, {"train": drawn}, {"train": factors[:, 0].copy()}, factors={"train": factors})

    @property
    def _outline(self) -> Outline:
        return Outline(Grid(1, (self.voxels,) * 3), {"train": self.samples},
                       f"volumes: {plural(self.samples, 'volume')} of {self.voxels}×{self.voxels}×{self.voxels} grey voxels, drawn from "
                       f"{', '.join(factor.name for factor in FACTORS)}; no file needed",
                       bounds=(0.0, 255.0), labelled=True, class_names=CLASSES, factors=FACTORS)
