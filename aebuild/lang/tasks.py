"""The family of evaluation tasks, the handle on a trained model that they get, and the answer that they give."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self

from aebuild.lang.part import Part, knob

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from aebuild.lang.samples import DataInfo
    from aebuild.lang.splits import Split

Cell = str | float | int | None


class Trained(Protocol):
    """A trained model and its data, as `results/trained.py` gives them to tasks.

    A split is streamed through the model in batches, in evaluation mode and with the same noise each time; what is returned whole is
    one array of the split's length, in its order. Data are in the model's units, as the split has them.
    """

    plan: Any            # a compile.plan.Plan
    model: Any           # a modules.autoencoder.Autoencoder
    splits: Any          # a lang.splits.Splits
    judged: Split        # the split that is judged: test, or the next best

    def passes(self, split: Split, draws: int | None = None, seed: int = 0) -> Iterator[Any]:
        """The `modules.outputs.Outputs` of each batch; with `draws` so many random codes a sample, other ones for another seed."""
        ...

    def codes(self, split: Split) -> NDArray[Any]:
        """The codes, [n, ...]: of a variational latent the posterior's means, of a discrete one the indices."""
        ...

    def code_values(self, split: Split) -> NDArray[Any]:
        """The codes as numbers, [n, ...]: the same, but of a discrete latent the entries that the indices stand for."""
        ...

    def fitted(self, name: str, version: str, fit: Callable[[], Mapping[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
        """The arrays that `fit` gives, or gave: the run keeps them with these weights, under a name and the version of their form."""
        ...

    def reconstructions(self, split: Split) -> NDArray[Any]:
        """The expected data, [n, ...]."""
        ...

    def terms(self, split: Split) -> dict[str, NDArray[Any]]:
        """Each loss term of each sample, unweighted, [n]; terms of a whole batch are left out."""
        ...

    def decode(self, codes: NDArray[Any]) -> NDArray[Any]:
        """The expected data of codes [n, ...], or of a discrete latent's indices."""
        ...

    def samples(self, count: int, seed: int = 0) -> NDArray[Any]:
        """New samples [count, ...]: from the model's own prior, or where it has none from a mixture fitted to its codes."""
        ...

    def interpolations(self, first: Split, second: Split, steps: int, *, path: Literal["linear", "spherical"] = "linear",
                       where: Literal["code", "features"] | None = None) -> NDArray[Any]:
        """[n, steps, ...] from each sample of one split to that of the other; between codes, or features before the bottleneck."""
        ...

    def traversals(self, split: Split, steps: int, dims: Sequence[int] | None, span: float, around: int
                   ) -> tuple[NDArray[Any], Sequence[int]]:
        """[dims, steps, ...]: a sample with one value of its code changed at a time, and which values; the widest ones without `dims`."""
        ...

    def moved(self, split: Split, add: str | None, remove: str | None, steps: int, count: int) -> NDArray[Any]:
        """[count, steps, ...]: the first samples, moved by the mean code of one label less that of another."""
        ...

    def scores(self, split: Split) -> dict[str, NDArray[Any]]:
        """Anomaly scores by name, [n] each, higher for what is more unusual."""
        ...

    def untrained(self, seed: int = 0) -> Any:
        """A model of the same plan with fresh weights."""
        ...

    def follow(self, done: int, whole: int) -> None:
        """Tells how far the task is."""
        ...


@dataclass(frozen=True)
class Table:
    """Rows of words and numbers under a title; the first column names the row. None stands where there is no figure."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True, eq=False)
class SampleRows:
    """Samples of the target's type, [n, ...] in the model's units, in rows with a caption each."""

    title: str
    rows: Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class LinePlot:
    """Lines by name over one pair of axes, each (x [n], y [n]); `marks` [n] say what each point of a line stands for, as a threshold."""

    title: str
    x: str
    y: str
    lines: Mapping[str, tuple[NDArray[Any], NDArray[Any]]]
    marks: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    mark: str = ""


@dataclass(frozen=True, eq=False)
class ScatterPlot:
    """Points [n, 2]; `labels` [n] colours them by the `names` of classes, -1 is unknown; `rows` [n] are places in the judged split."""

    title: str
    points: NDArray[Any]
    labels: NDArray[Any] | None = None
    names: tuple[str, ...] = ()
    rows: NDArray[Any] | None = None


Exhibit = Table | SampleRows | LinePlot | ScatterPlot


@dataclass(frozen=True)
class Answer:
    """What a task found: its figures by name, what to show of it, and sentences on what a figure does not tell or could not be had."""

    figures: dict[str, float]
    exhibits: tuple[Exhibit, ...] = field(default=(), compare=False)
    notes: tuple[str, ...] = ()


class Task(Part):
    """A question to the trained model, asked beside the usual evaluation; its figures stand under its name."""

    family = "task"
    scales: ClassVar[Mapping[str, str]] = {}         # figures that compare only where this one of the usual evaluation does
    meanings: ClassVar[Mapping[str, str]] = {}       # what each figure is, and which way is better ("...; lower is better")

    name: str | None = knob(None, "what its figures are called, so that a task can be asked twice; its type if not said",
                            affects="evaluation", pattern=r"^[A-Za-z][A-Za-z0-9_-]*$", max_length=64)

    @property
    def key(self) -> str:
        """What its figures are called."""
        return self.name or str(self.variant_name())

    def check(self, info: DataInfo) -> str | None:
        """Why these data cannot answer it, if so."""
        return None

    def settled(self, base: Path) -> Self:
        """The same with absolute paths; relative ones start from `base`."""
        return self

    def evaluate(self, trained: Trained) -> Answer:
        """Its figures by name and what to show of it; `Unanswered` where this model cannot answer."""
        raise TypeError(f"{type(self).__name__} has no figures")


class Unanswered(Exception):  # no error: the rest of the evaluation goes on
    """A task that this model or these data cannot answer after all; the message says why, in the user's words."""
