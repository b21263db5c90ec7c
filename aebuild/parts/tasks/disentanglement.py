"""How far the dimensions of the code stand for one factor each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from aebuild.lang.part import knob
from aebuild.lang.tasks import Answer, Table, Task, Trained, Unanswered
from aebuild.lang.values import Tokens

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.lang.samples import DataInfo, Factor

LEAST = 40                # samples that such measures need
MOST = 10_000             # samples that are looked at, evenly spaced
MOST_DIMENSIONS = 256
COLUMNS = ("factor", "dimension", "share told", "second", "share told", "predicted", "by chance")


class Disentanglement(Task):
    """Four measures of how far each dimension of the code stands for one of the factors that samples were made from.

    For data whose factors are known, like `shapes`. The code is the mean of the posterior, or the code itself. MIG (Chen et al., 2018),
    SAP (Kumar et al., 2018), DCI by random forests (Eastwood and Williams, 2018), and the score of FactorVAE (Kim and Mnih, 2018).
    """

    type: Literal["disentanglement"] = "disentanglement"
    scalar = "bins"
    meanings: ClassVar[dict[str, str]] = {
        "mig": "gap of mutual information between the two dimensions that tell most of a factor, at most 1; higher is better",
        "sap": "the same gap of what each of them predicts alone, at most 1; higher is better",
        "dci_disentanglement": "how far each dimension serves one factor, at most 1; higher is better",
        "dci_completeness": "how far each factor is served by one dimension, at most 1; higher is better",
        "dci_informativeness": "share of factors that forests find from the whole code; higher is better",
        "factor_vae": "how often the dimension that varies least tells which factor was held fixed, at most 1; higher is better"}
    example: ClassVar[str] = """\
data: {type: shapes, samples: 200, pixels: 8, split: {validation: 10, test: 0.5}}
evaluate: {tasks: [disentanglement: {bins: 10, votes: 60}]}
"""
    bins: int = knob(20, "equal bins that each dimension is divided into for MIG", affects="evaluation", ge=2, le=1000)
    votes: int = knob(800, "votes that teach the score of FactorVAE, and as many that judge it", affects="evaluation", ge=10, le=100_000)

    def check(self, info: DataInfo) -> str | None:
        """Known factors."""
        return None if info.factors else "it is not known what these samples were made from; of `data: shapes` it is"

    def evaluate(self, trained: Trained) -> Answer:
        """The measures, and which dimensions tell most of each factor."""
        from aebuild.metrics import disentanglement as measures

        codes, factors, known, notes = _known(trained)
        shares = measures.mutual_information(measures.binned(codes, self.bins), factors) / measures.entropies(factors)
        matters = measures.importance(codes, factors)
        ordered = [factor.ordered for factor in known]
        figures = {"mig": measures.information_gap(shares), "sap": measures.separated_predictability(codes, factors, ordered),
                   "dci_disentanglement": measures.disentangled(matters.of), "dci_completeness": measures.complete(matters.of),
                   "dci_informativeness": float(matters.right.mean()),
                   "factor_vae": measures.steadiest_dimension(codes, factors, self.votes)}
        return Answer(figures, (_table(known, factors, shares, matters.right),), notes)


def _known(trained: Trained) -> tuple[NDArray[Any], NDArray[Any], list[Factor], tuple[str, ...]]:
    """Codes [n, d], factors [n, f] that take more than one value, what these are, and what had to be left out."""
    import numpy as np

    split, names = trained.judged, trained.splits.info.factors
    if split.factors is None:
        raise Unanswered("it is not known what the samples that are judged were made from")
    if isinstance(trained.plan.latent.codes, Tokens):
        raise Unanswered("the code is one of indices into a codebook, whose numbers have no order; these measures are for numbers")
    if trained.plan.latent.values > MOST_DIMENSIONS:
        raise Unanswered(f"the code has {trained.plan.latent.values:,} numbers; these measures are for at most {MOST_DIMENSIONS}")
    if len(split) < LEAST:
        raise Unanswered(f"{len(split):,} samples are too few; at least {LEAST} are needed")
    if len(split) > MOST:
        split = split.thinned(MOST)
    codes, factors = trained.codes(split).reshape(len(split), -1).astype(np.float64), split.factors
    assert factors is not None
    if not np.isfinite(codes).all():
        raise Unanswered("some codes are no numbers")
    varying = [place for place, column in enumerate(factors.T) if len(np.unique(column)) > 1]
    if not varying:
        raise Unanswered("no factor takes more than one value among the samples that are judged")
    left = [factor.name for place, factor in enumerate(names) if place not in varying]
    notes = [f"{', '.join(left)} takes one value only among the samples that are judged, and is left out"] if left else []
    still = int((np.ptp(codes, axis=0) == 0).sum())
    if still:
        notes.append(f"{still} of the {codes.shape[1]} dimensions of the code are the same for all samples")
    return codes, factors[:, varying], [names[place] for place in varying], tuple(notes)


def _table(known: list[Factor], factors: NDArray[Any], shares: NDArray[Any], right: NDArray[Any]) -> Table:
    """Of each factor: the two dimensions that tell most of it, and the share that the whole code predicts."""
    import numpy as np

    rows = []
    for place, factor in enumerate(known):
        first, *others = np.argsort(-shares[:, place], kind="stable").tolist()
        second = (others[0], float(shares[others[0], place])) if others else (None, None)
        chance = float(np.bincount(factors[:, place]).max() / len(factors))
        rows.append((factor.name, first, float(shares[first, place]), *second, float(right[place]), chance))
    return Table("what each factor is told by", COLUMNS, tuple(rows))
