"""The family of evaluation tasks, and the handle on a trained model that they get."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from aebuild.lang.part import Part

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.lang.samples import DataInfo
    from aebuild.lang.splits import Split


class Trained(Protocol):
    """A trained model and its data, as `results/trained.py` gives them to tasks.

    A split is streamed through the model in batches, in evaluation mode and with the same noise each time; what is returned whole is
    one array of the split's length, in its order.
    """

    plan: Any            # a compile.plan.Plan
    model: Any           # a modules.autoencoder.Autoencoder
    splits: Any          # a lang.splits.Splits
    judged: Split        # the split that is judged: test, or the next best

    def passes(self, split: Split) -> Iterator[Any]:
        """The `modules.outputs.Outputs` of each batch."""
        ...

    def codes(self, split: Split) -> NDArray[Any]:
        """The codes, [n, ...]; of a discrete latent its indices."""
        ...

    def reconstructions(self, split: Split) -> NDArray[Any]:
        """The expected data, [n, ...]."""
        ...

    def terms(self, split: Split) -> dict[str, NDArray[Any]]:
        """Each loss term of each sample, unweighted, [n]; terms of a whole batch are left out."""
        ...


class Task(Part):
    """A question to the trained model, asked beside the usual evaluation; its figures stand under its name."""

    family = "task"
    meanings: ClassVar[Mapping[str, str]] = {}       # what each figure is, and which way is better

    def check(self, info: DataInfo) -> str | None:
        """Why these data cannot answer it, if so."""
        return None

    def evaluate(self, trained: Trained) -> dict[str, float]:
        """Its figures by name."""
        raise TypeError(f"{type(self).__name__} has no figures")
