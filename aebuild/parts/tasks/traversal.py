"""What each value of the code does."""

from __future__ import annotations

from typing import ClassVar, Literal

from aebuild.lang.part import knob
from aebuild.lang.samples import DataInfo
from aebuild.lang.tasks import Answer, SampleRows, Table, Task, Trained, Unanswered

FAINT = 0.01            # of the largest effect: a value that does less does next to nothing


class Traversal(Task):
    """One value of a sample's code changed at a time; and, with labels, what one group has that another lacks, added to samples.

    The arithmetic adds the mean code of the samples labelled `add` and subtracts that of those labelled `remove`; without one of
    both the mean of all others stands in its place.
    """

    type: Literal["traversal"] = "traversal"
    scalar = "steps"
    meanings: ClassVar[dict[str, str]] = {
        "effective_values": "values of the code, of those walked, that change the data by over 1 % of what the strongest does",
        "largest_effect": "change of the data along the strongest value, root mean square; of symbols the share that changes",
        "arithmetic_effect": "change of the data by the whole step from one group to the other; 0 does nothing"}
    example: ClassVar[str] = """\
data: {type: digits, limit: 100}
latent: {type: continuous, dim: 4}
evaluate: {tasks: [traversal: {steps: 5, span: 2, around: 3, add: 3, remove: "8", moved: 2}]}
---
data: {type: digits, limit: 100}
latent: {type: continuous, dim: 4}
evaluate: {tasks: [traversal: {dims: [0, 2]}]}
"""
    steps: int = knob(9, "samples of a walk", affects="evaluation", ge=2, le=100)
    span: float = knob(3.0, "standard deviations of the codes to either side", affects="evaluation", gt=0)
    dims: list[int] | None = knob(None, "values of the code, counted from 0; the ten widest without", affects="evaluation", min_length=1)
    around: int = knob(0, "sample of the judged split to start from, counted from 0", affects="evaluation", ge=0)
    add: str | int | None = knob(None, "label whose samples' mean code is added", affects="evaluation")
    remove: str | int | None = knob(None, "label whose samples' mean code is subtracted", affects="evaluation")
    moved: int = knob(6, "samples that the arithmetic is shown on", affects="evaluation", ge=1, le=100)

    def check(self, info: DataInfo) -> str | None:
        """Arithmetic needs labels, and those it names; labels whose classes no header tells are looked at when it is asked."""
        asked = [label for label in self._groups if label is not None]
        if asked and not info.labelled:
            return "the data have no labels, so there are no groups to add or remove"
        if info.classes is None:
            return None
        names = info.class_names or tuple(map(str, range(info.classes)))
        absent = [label for label in asked if label not in names]
        return f"no class is called {absent[0]!r}; the classes are {', '.join(names[:20])}" if absent else None

    @property
    def _groups(self) -> tuple[str | None, str | None]:
        """The label that is added, and the one that is removed, as words."""
        add, remove = (None if label is None else str(label) for label in (self.add, self.remove))
        return add, remove

    def evaluate(self, trained: Trained) -> Answer:
        """The walks, and how much each value changes."""
        import numpy as np

        from aebuild.metrics.walks import distance

        if self.around >= len(trained.judged):
            raise Unanswered(f"there is no sample {self.around}; they are counted from 0 to {len(trained.judged) - 1}")
        dims = None if self.dims is None else list(dict.fromkeys(self.dims))
        walks, chosen = trained.traversals(trained.judged, self.steps, dims, self.span, self.around)
        flat = walks.reshape(*walks.shape[:2], -1)
        scale = 1.0 if np.issubdtype(walks.dtype, np.integer) else float(np.sqrt(flat.shape[-1]))
        effects = distance(flat[:, 0], flat[:, -1]) / scale
        figures = {"effective_values": float((effects > FAINT * effects.max()).sum()), "largest_effect": float(effects.max())}
        shown = [SampleRows("one value of the code at a time", {f"value {dim}": walk for dim, walk in zip(chosen, walks, strict=True)})]
        add, remove = self._groups
        if add is not None or remove is not None:
            steps = trained.moved(trained.judged, add, remove, self.steps, self.moved)
            ends = steps.reshape(*steps.shape[:2], -1)
            figures["arithmetic_effect"] = float((distance(ends[:, 0], ends[:, -1]) / scale).mean())
            told = " ".join(filter(None, (add and f"with {add}", remove and f"minus {remove}")))
            shown.append(SampleRows(told, {f"sample {place}": walk for place, walk in enumerate(steps)}))
        table = Table("effect of each value", ("value", "effect"), tuple((int(dim), float(effect))
                                                                         for dim, effect in zip(chosen, effects, strict=True)))
        return Answer(figures, (*shown, table))
