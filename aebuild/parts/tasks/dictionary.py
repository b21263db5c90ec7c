"""What a sparse code is made of."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from aebuild.lang.compared import all_compared
from aebuild.lang.part import knob
from aebuild.lang.tasks import Answer, LinePlot, Table, Task, Trained, Unanswered
from aebuild.lang.values import Tokens

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST = 1 << 26          # numbers in the directions that are looked at together


class Dictionary(Task):
    """How many units are active, which never are, how much comes back, and the directions that units stand for.

    Of data that were drawn from known directions, the mean over these of the largest cosine to a unit's (mean max cosine similarity,
    Sharkey et al., 2022): a unit's direction is how the expected data change when it alone is 1.
    """

    type: Literal["dictionary"] = "dictionary"
    scalar = "limit"
    meanings: ClassVar[dict[str, str]] = {
        "active": "active units of a sample (L0); lower is sparser",
        "dead_share": "share of units that no sample activates; lower is better",
        "dense_share": "share of units that more than a tenth of the samples activate; lower is sparser",
        "explained_variance": "1 less the squared error by the data's variance; higher is better",
        "one_stream": "share of a crosscoder's units nine tenths of whose norms lie in one stream, which are features of that stream alone",
        "cosine": "mean over the true directions of the cosine to the nearest unit's; higher is better",
        "recovered": "share of true directions whose cosine to a unit's is above 0.9; higher is better"}
    example: ClassVar[str] = """\
data: {type: activations, samples: 60, values: 6, features: 10, active: 2}
encoder: []
latent: {type: sparse, dim: 12, activation: {type: top_k, k: 2}}
evaluate: {tasks: [dictionary: {limit: 3}]}
"""
    limit: int = knob(10_000, "samples that are looked at, evenly spaced in the judged split", affects="evaluation", ge=1, le=1_000_000)

    def evaluate(self, trained: Trained) -> Answer:
        """Two passes over the judged samples, and one of the decoder over the units."""
        import numpy as np

        from aebuild.metrics.dictionaries import best_cosines, explained_variance

        if isinstance(trained.plan.latent.codes, Tokens):
            raise Unanswered("a discrete code has entries, which the task codes looks at")
        some = trained.judged.thinned(min(self.limit, len(trained.judged)))
        code = trained.plan.latent.code
        active = trained.codes(some) != 0
        rates = np.moveaxis(active, code.feature_axis, -1).reshape(-1, code.features).mean(0)
        held = all_compared(trained, some)
        figures = {"active": float(rates.sum()), "dead_share": float((rates == 0).mean()), "dense_share": float((rates > 0.1).mean()),
                   "explained_variance": explained_variance(held.target, held.back, held.real)}
        line = {trained.plan.spec.name: _ranked(rates)}
        plots = [LinePlot("how often units are active", "unit, the most active first", "share of samples", line)]
        streams = getattr(trained.plan.spec.latent, "streams", None)
        if streams is not None:
            norms = self._directions(trained).reshape(code.features, streams, -1)
            norms = np.linalg.norm(norms, axis=2)
            figures["one_stream"] = float((norms.max(1) >= 0.9 * norms.sum(1)).mean())
        truth = getattr(trained.plan.spec.data, "dictionary", None)
        if truth is None or code.places:
            return Answer(figures, tuple(plots))
        known = truth() * np.asarray(trained.splits.scaling.factor)
        cosines = best_cosines(known, self._directions(trained))
        figures |= {"cosine": float(cosines.mean()), "recovered": float((cosines > 0.9).mean())}
        plots.append(LinePlot("true directions", "direction, the best found first", "cosine to the nearest unit's",
                              {trained.plan.spec.name: _ranked(cosines)}))
        rows = tuple((int(place), float(cosines[place])) for place in cosines.argsort()[:10])
        return Answer(figures, (*plots, Table("directions that are found worst", ("direction", "cosine"), rows)))

    def _directions(self, trained: Trained) -> NDArray[Any]:
        """How the expected data change when a unit alone is 1, [units, values]."""
        import numpy as np

        units = trained.plan.latent.code.features
        if units * max(units, prod(trained.plan.target.shape)) > MOST:
            raise Unanswered(f"the directions of {units:,} units are too many to compare")
        origin = trained.decode(np.zeros((1, units), np.float32))
        directions: NDArray[Any] = (trained.decode(np.eye(units, dtype=np.float32)) - origin).reshape(units, -1)
        return directions


def _ranked(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The values from the greatest on, with their ranks."""
    import numpy as np

    return np.arange(1.0, len(values) + 1), -np.sort(-values)
