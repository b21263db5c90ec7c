"""Counts drawn from known factors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.data.probe import Outline, describe, plural
from aebuild.lang.dataset import DataInfo, Divided, Labelled, Sampled, Where
from aebuild.lang.part import knob
from aebuild.lang.samples import Factor
from aebuild.lang.values import Value, Vector

if TYPE_CHECKING:
    from aebuild.data.raw_samples import Raw

CLASSES = ("type_0", "type_1", "type_2", "type_3")
FACTORS = (Factor("type", 4, ordered=False), Factor("batch", 2, ordered=False))


class Counts(Sampled, Divided, Labelled):
    """Counts of genes in cells, drawn by a program: negative binomial, four types of cells, two batches, lost counts.

    For likelihoods of counts, as data of single cells are (Lopez et al., 2018), but no file is needed. The label is the cell's type. The
    counts stay whole numbers; let the encoder begin with `log1p`.
    """

    type: Literal["counts"] = "counts"
    example = ("data: {type: counts, cells: 60, genes: 6, seed: 1, limit: 30, labels: 20, split: {validation: 10, test: 0.3, seed: 4}}\n"
               "encoder: [log1p, linear: 8]")
    also = ("single_cell", "scrna", "genes")
    cells: int = knob(2_000, "how many cells are drawn, for all splits together", affects="data", ge=1, le=1_000_000)
    genes: int = knob(100, "how many genes are counted in each", affects="data", ge=2, le=20_000)
    seed: int = knob(0, "seed of the factors and the counts", affects="data", ge=0, lt=2**32)

    def usual_scale(self, value: Value) -> str:
        """Whole numbers."""
        return "integer"

    def probe(self, where: Where) -> DataInfo:
        """Known without drawing."""
        return describe(self, self._outline)

    def read(self, where: Where) -> Raw:
        """Counts [n, genes] with their types and batches."""
        from aebuild.data.axes import Layout
        from aebuild.data.drawn_counts import draw_counts
        from aebuild.data.raw_samples import Raw, Stored

        drawn, outline = draw_counts(self.cells, self.genes, self.seed), self._outline
        held = Stored(drawn.counts, Layout(outline.value), "counts", word="cell")
        return Raw(outline, {"train": held}, {"train": drawn.factors[:, 0].copy()}, factors={"train": drawn.factors})

    @property
    def _outline(self) -> Outline:
        return Outline(Vector(self.genes), {"train": self.cells},
                       f"counts: {plural(self.genes, 'gene')} counted in {plural(self.cells, 'cell')} of {len(CLASSES)} types, drawn by a "
                       "program; no file needed", labelled=True, class_names=CLASSES, columns=tuple(f"gene_{n}" for n in range(self.genes)),
                       factors=FACTORS)
