"""Whether a baseline is better than a model, and which one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aebuild.results.evaluate import Evaluation, Scores

SLACK = 0.01                # of what lies between the baselines: nearer is as good
LOSSLESS = 1e-9             # an error of PCA that says its code is as large as the data


@dataclass(frozen=True)
class Verdict:
    """The baseline that is better, its figure and the model's; what they were compared by, and the better baseline's figure."""

    baseline: str
    measure: str
    ours: float
    theirs: float
    best: float

    @property
    def by_a_constant(self) -> bool:
        """True if even one guess for all samples is better."""
        return self.baseline.startswith("the ")


def beaten(evaluation: Evaluation) -> Verdict | None:
    """The baseline that the model does not beat: the mean if not even that, else PCA, unless its code is as large as the data.

    A model whose target is not what its encoder sees is measured by the simplest way from one to the other: PCA knows the target.
    """
    measure, value = _measure(evaluation)
    ours, mean = value(evaluation.model), value(evaluation.mean)
    if evaluation.pca is None:
        worse = not ours < mean - SLACK * abs(mean)
        return Verdict("the most frequent token of each place", measure, ours, mean, mean) if worse else None
    pca = value(evaluation.pca)
    slack = SLACK * abs(mean - pca)
    if not ours < mean - slack:
        return Verdict("the mean of the training samples", measure, ours, mean, min(mean, pca))
    if evaluation.plain is not None and ours > value(evaluation.plain):
        return Verdict(f"{evaluation.plain_name} of the input", measure, ours, value(evaluation.plain), value(evaluation.plain))
    if not evaluation.translated and (evaluation.pca.mse or 0.0) > LOSSLESS and ours > pca + slack:
        components = f"{evaluation.components:,} component{'s'[:evaluation.components != 1]}"
        return Verdict(f"PCA with {components}", measure, ours, pca, pca)
    return None


def _measure(evaluation: Evaluation) -> tuple[str, Any]:
    """The model's own reconstruction term where both baselines have it, else the squared error, of tokens the share that is wrong."""
    def term(scores: Scores) -> float:
        return scores.terms["reconstruction"]

    compared = (evaluation.model, evaluation.pca, evaluation.mean, evaluation.plain)
    if all("reconstruction" in scores.terms for scores in compared if scores):
        return "reconstruction", term
    if evaluation.model.accuracy is not None:
        return "share of wrong tokens", lambda scores: 1 - scores.accuracy
    return "MSE per element", lambda scores: scores.mse
