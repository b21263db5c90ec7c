"""What lies between samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from aebuild.lang.part import knob
from aebuild.lang.tasks import Answer, Cell, SampleRows, Table, Task, Trained, Unanswered
from aebuild.lang.values import Tokens

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST = 10_000           # training samples among which the nearest is sought


class Interpolation(Task):
    """Walks from one sample of the judged split to another, between codes, or between features before the bottleneck.

    A good one changes evenly, without detours through the data, and its middle looks like data: it is about as far from the nearest
    training sample as reconstructions are.
    """

    type: Literal["interpolation"] = "interpolation"
    scalar = "pairs"
    meanings: ClassVar[dict[str, str]] = {
        "evenness": "longest step of a walk over its mean step, from 1; lower is better",
        "detour": "length of a walk through the data over the distance of its ends, from 1; lower is better",
        "middle": "distance of middles to the nearest training sample over that of their ends; near 1 is better"}
    example: ClassVar[str] = """\
data: {type: digits, limit: 100}
latent: {type: continuous, dim: 4}
evaluate: {tasks: [interpolation: {pairs: 3, steps: 5, path: spherical, where: code, seed: 1}]}
---
data: {type: digits, limit: 100}
latent: {type: continuous, dim: 4}
evaluate: {tasks: [interpolation: {between: [[0, 3], [1, 2]]}]}
"""
    pairs: int = knob(6, "walks between samples drawn at random", affects="evaluation", ge=1, le=1000)
    steps: int = knob(9, "samples of a walk, its ends among them", affects="evaluation", ge=3, le=100)
    path: Literal["linear", "spherical"] = knob("linear", "straight, or along the sphere between the codes' lengths", affects="evaluation")
    where: Literal["code", "features"] | None = knob(
        None, "between codes, or the encoder's features before the bottleneck, which is usual for discrete codes", affects="evaluation")
    between: list[Annotated[list[int], Field(min_length=2, max_length=2)]] | None = knob(
        None, "samples of the judged split to walk between, counted from 0, in place of random ones", affects="evaluation", min_length=1)
    seed: int = knob(0, "of the choice of samples", affects="evaluation", ge=0, lt=2**31)

    def evaluate(self, trained: Trained) -> Answer:
        """The walks, and how they go."""
        import numpy as np

        from aebuild.metrics import walks as measures

        ends = self._ends(len(trained.judged))
        walks = trained.interpolations(trained.judged.taken(ends[:, 0]), trained.judged.taken(ends[:, 1]), self.steps, path=self.path,
                                       where=self.where)
        training = trained.splits.train
        some = training if len(training) <= MOST else training.thinned(MOST)
        known = some.x if some.target is None else some.target
        middle = measures.nearest(walks[:, self.steps // 2], known)
        outer = (measures.nearest(walks[:, 0], known) + measures.nearest(walks[:, -1], known)) / 2
        with np.errstate(invalid="ignore", divide="ignore"):
            each = {"evenness": measures.evenness(walks), "detour": measures.detour(walks), "middle": middle / outer}
        sound = {name: values[np.isfinite(values)] for name, values in each.items()}
        lost = {name: int((~np.isfinite(values)).sum()) for name, values in each.items()}
        rows: tuple[tuple[Cell, ...], ...] = tuple((f"{a} to {b}", *(float(values[place]) for values in each.values()))
                                                   for place, (a, b) in enumerate(ends.tolist()))
        return Answer({name: float(values.mean()) for name, values in sound.items() if len(values)},
                      (SampleRows("walks", {f"{a} to {b}": walk for (a, b), walk in zip(ends.tolist(), walks, strict=True)}),
                       Table("walks", ("samples", *each), rows)), _notes(trained, lost))

    def _ends(self, count: int) -> NDArray[Any]:
        """[pairs, 2] of samples of the judged split."""
        import numpy as np

        if self.between is not None:
            beyond = [row for pair in self.between for row in pair if not 0 <= row < count]
            if beyond:
                raise Unanswered(f"there is no sample {beyond[0]}; they are counted from 0 to {count - 1}")
            return np.asarray(self.between, np.int64)
        if count < 2:
            raise Unanswered("a walk needs two samples, and one is judged")
        random = np.random.default_rng(self.seed)
        return np.stack([random.choice(count, 2, replace=False) for _ in range(self.pairs)])


def _notes(trained: Trained, lost: dict[str, int]) -> tuple[str, ...]:
    """What is to be said of walks that lack a figure, so many for each, and of discrete codes."""
    standing, round_trips = lost["evenness"], lost["detour"] - lost["evenness"]
    told = [f"{standing:,} walks do not move at all: their samples have the same code, or the decoder ignores it"] if standing else []
    if round_trips:
        told.append(f"{round_trips:,} walks end where they begin: they have no detour")
    if lost["middle"]:
        told.append(f"the ends of {lost['middle']:,} walks come back as training samples: their middles have nothing to be held against")
    if isinstance(trained.plan.latent.codes, Tokens):
        told.append("a discrete code has no places between codes, so these walks go between features before the bottleneck")
    return tuple(told)
