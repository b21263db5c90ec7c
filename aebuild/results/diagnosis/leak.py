"""Test samples that were trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aebuild.lang.diagnostics import Hint, Rule
from aebuild.lang.values import Tokens
from aebuild.results.baselines import fitted_rows
from aebuild.results.diagnosis.cause import Cause, Clear, Finding, story
from aebuild.results.diagnosis.copies import Copies, copies, repeats_by_chance
from aebuild.results.diagnosis.evidence import Evidence
from aebuild.results.judged_split import judged_split
from aebuild.trainer.progress.formatting import number

if TYPE_CHECKING:
    from aebuild.lang.splits import Split

LEAKED = 0.01        # share of judged samples that are copies: more is no accident
SHOWN = 10           # pairs that are named


class LeakedSplit(Cause):
    """Judged samples that are copies of training samples, or nearly."""

    rule = Rule("AE583", "leaked split", story(
        "The error on the test split is better than new data will ever show: some test samples were trained on.",
        "Distances of each judged sample to its nearest training sample. A copy is nearer than chance would have it: the radius "
        "follows from the usual distance between training samples and the dimension of their cloud, both measured. Copies are "
        "counted, and the nearest pairs named by their rows. Constant samples, such as black pictures, do not count, nor data of so "
        "few different values that samples repeat by chance.",
        "Keep copies in one part: remove the rows that are named, or give the parts as files of their own. No setting can do it, for "
        "which copies belong together only the data's owner knows. The error rises to what it is.", """\
```console
$ aebuild doctor runs/vae --json       # examples: rows of the judged split and of training, with their distance
```
"""), "warning")
    needs = ("data",)
    hides = ("learned by heart",)

    def look(self, evidence: Evidence) -> Finding | Clear:
        """By nearest neighbours."""
        name, split = judged_split(evidence.data)
        rows = fitted_rows(evidence.data.train.inputs)
        if name == "training" or repeats_by_chance(rows):
            return self.clear(samples="repeat by chance" if name != "training" else "no split is judged")
        judged = fitted_rows(split.inputs)
        exact = isinstance(evidence.plan.input, Tokens) or split.windows is not None
        found = copies(rows, judged, exact=exact)
        figures: dict[str, float | int | str] = {"copies": len(found.pairs), "compared": found.compared, "training samples": len(rows),
                                                 "usual distance": found.usual, "distance of a copy": found.radius}
        whole = len(evidence.data.train) / len(rows)             # copies of training samples that were not looked at are as frequent
        if len(found.pairs) < 2 or found.share * whole < LEAKED:
            return self.clear(**{name.replace(" ", "_"): value for name, value in figures.items()})
        within = "the same as" if found.pairs[-1][2] <= 1e-6 * max(found.usual, 1e-30) else f"within {number(found.radius)} of"
        return self.found(f"{len(found.pairs):,} of {found.compared:,} samples of the {name} split are {within} a training sample "
                          f"(usual distance {number(found.usual)})",
                          Hint("remove these rows from one of the parts; `aebuild doctor --json` names them"), figures,
                          "certain", _examples(found, evidence.data.train, split, len(rows), len(judged)))


def _examples(found: Copies, training: Split, judged: Split, rows: int, compared: int) -> tuple[dict[str, Any], ...]:
    """The nearest pairs: their numbers in the splits, and the rows that they were read from where these are known."""
    told = []
    for ours, theirs, distance in found.pairs[:SHOWN]:
        each: dict[str, Any] = {"distance": round(distance, 6)}
        for name, split, index, taken in (("judged", judged, ours, compared), ("training", training, theirs, rows)):
            if taken == len(split):
                each[name] = index
                if split.origin is not None:
                    each[f"{name} row"] = int(split.origin[1][index])
        told.append(each)
    return tuple(told)
