"""How new samples compare with the data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from aebuild.lang.part import knob
from aebuild.lang.sample_features import data_of, of_classifier, of_data, of_file, unlabelled
from aebuild.lang.samples import DataInfo
from aebuild.lang.tasks import Answer, SampleRows, Table, Task, Trained, Unanswered
from aebuild.lang.values import Tokens

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.lang.sample_features import Features

OWN = ("data", "classifier")
FILES = (".pt", ".ts", ".pt2")
GRID = 4                # samples shown for each that is shown beside its neighbour
WORK = 2 * 10**11       # multiplications that the search for neighbours may take: minutes at most, seconds usually
RUNS = {"unigram": 1, "bigram": 2, "trigram": 3}
FEWER = 3               # standard errors that fewer samples than by chance have their nearest among data that were not trained on


class Samples(Task):
    """New samples beside real ones: distances between the two sets, and whether samples are copies of the training data.

    Distances are between features of samples and of as many real ones of the judged split: the unbiased squared maximum mean
    discrepancy (Gretton, 2012; its bandwidth is the median distance of real samples, so it is the same for all models of the data),
    the energy distance (Székely and Rizzo, 2013), precision and recall (Kynkäänniemi et al., 2019), density and coverage (Naeem et al.,
    2020). Beside each stands what as many training samples score in the place of the new ones: what a perfect model would.

    Features are hidden values of a small classifier of the data's labels, which is trained in seconds and kept in the run; without labels
    the data themselves, of more than 64 values their first 64 principal components; or what a program in a file gives, TorchScript
    (.pt, .ts) or of torch.export (.pt2). Nothing is downloaded. Samples of tokens are compared by how often runs of tokens occur.
    """

    type: Literal["samples"] = "samples"
    scalar = "count"
    scales: ClassVar[dict[str, str]] = {"energy_distance": "MSE per element"}
    meanings: ClassVar[dict[str, str]] = {
        "mmd2": "squared maximum mean discrepancy, 0 for the data's own distribution; lower is better",
        "energy_distance": "in units of the features, 0 for the data's own distribution; lower is better",
        "precision": "share of samples that lie among the data; higher is better",
        "recall": "share of the data that lie among the samples; higher is better",
        "density": "how densely the data lie around samples, 1 for the data's own distribution; higher is better",
        "coverage": "share of the data with a sample in their neighbourhood; higher is better",
        "unigram_divergence": "bits, 0 to 1, between frequencies of tokens; lower is better",
        "bigram_divergence": "the same of two tokens in a row; lower is better",
        "trigram_divergence": "the same of three tokens in a row; lower is better",
        "distinct_trigrams": "share of the samples' three tokens in a row that are different ones; higher is better",
        "nearness": "distance of samples to the training data over that of real samples; below 1 is suspicious, higher is better",
        "held_back_share": "samples whose nearest real one was not trained on, over what chance gives: 1, 0 for copies; higher is better"}
    example: ClassVar[str] = """\
data: {type: digits, limit: 200}
evaluate: {tasks: [samples: {count: 8, neighbours: 2, shown: 3, seed: 1, features: data}]}
"""
    count: int = knob(2_000, "samples that are drawn; at most so many are compared with as many real ones", affects="evaluation",
                      ge=4, le=5_000)
    neighbours: int = knob(5, "nearest neighbours within which precision, recall, density and coverage look", affects="evaluation", ge=1,
                           le=100)
    shown: int = knob(10, "samples that are shown with the nearest training sample under each; four times as many are shown alone",
                      affects="evaluation", ge=1, le=64)
    seed: int = knob(0, "what samples are drawn by", affects="evaluation", ge=0, le=2**31)
    features: str | None = knob(
        None, "what is compared: classifier, data, or a file of TorchScript (.pt, .ts) or torch.export (.pt2), a path from the spec's "
        "folder (default: classifier where there are labels, else data)", affects="evaluation")
    sha256: str | None = knob(None, "what the hash of such a file must be", affects="evaluation", pattern="^[0-9a-f]{64}$")

    def check(self, info: DataInfo) -> str | None:
        """Series of unequal length have no samples to compare; features must be there."""
        file = self._file()
        if info.ragged:
            return "the data have lengths of their own and samples have none, so the two cannot be compared"
        if isinstance(info.target, Tokens) and self.features is not None:
            return "samples of tokens are compared by runs of tokens, without `features`"
        if self.features == "classifier" and not info.labelled:
            return "a classifier needs labels, and these data have none; `features: data` compares the data themselves"
        if file is not None and file.suffix not in FILES:
            return f"features: {self.features} is neither {' nor '.join(OWN)} nor a file that ends in {', '.join(FILES)}"
        return "sha256 is that of a file of features, and `features` names none" if self.sha256 and file is None else None

    def settled(self, base: Path) -> Self:
        """The same with the file of features as an absolute path."""
        file = self._file()
        return self if file is None else self.but(features=str((base / file).absolute()))

    def _file(self) -> Path | None:
        return None if self.features is None or self.features in OWN else Path(self.features)

    def evaluate(self, trained: Trained) -> Answer:
        """Draws samples, compares them, and looks for copies."""
        import numpy as np

        number = min(self.count, len(trained.judged))
        if number <= self.neighbours:
            raise Unanswered(f"{self.neighbours} neighbours need more samples than the {number:,} that are judged")
        made = trained.samples(self.count, self.seed)
        broken = int((~np.isfinite(made.reshape(len(made), -1)).all(1)).sum())
        if broken:
            raise Unanswered(f"{broken:,} of {len(made):,} samples have values that are no numbers")
        real = data_of(trained.judged.thinned(number))
        training = data_of(trained.splits.train.thinned(min(number, len(trained.splits.train))))
        copies = _copies(trained, made)
        tokens = isinstance(trained.plan.target, Tokens)
        about: tuple[str, ...] = ()
        if tokens:
            found, ideal = (_runs(each, real) for each in (made[:number], training))
        else:
            features, about = self._features(trained)
            found, ideal, bandwidth = self._compared(*(features(each) for each in (made[:number], real, training)))
            about = (*about, f"the bandwidth of mmd2 is {bandwidth:.4g}, the median distance of real samples")
        figures = found | copies.figures
        rows = tuple((name, value, ideal.get(name) if copies.figures else None) for name, value in figures.items())
        table = Table(f"{number:,} samples and as many real ones", ("figure", "samples", "training data instead"), rows)
        order = np.argsort(copies.distance, kind="stable")[:self.shown]
        pairs = {"samples": made[order], "the training sample nearest to each": copies.nearest_samples[order]}
        return Answer(figures, (SampleRows("samples", {"": made[:GRID * self.shown]}), SampleRows("nearest to the training data", pairs),
                                table), (*about, *copies.notes))

    def _compared(self, made: NDArray[Any], real: NDArray[Any], training: NDArray[Any]
                  ) -> tuple[dict[str, float], dict[str, float], float]:
        """The distances of samples, those of training data, and the bandwidth."""
        from aebuild.metrics import sample_distance as measures

        def figures(held: measures.Distances) -> dict[str, float]:
            inside, close = measures.precision_recall(held, k), measures.density_coverage(held, k)
            return {"mmd2": measures.mmd2(held, bandwidth), "energy_distance": measures.energy_distance(held),
                    **dict(zip(("precision", "recall", "density", "coverage"), (*inside, *close), strict=True))}

        k, apart = self.neighbours, measures.distances(real, made)
        bandwidth = measures.median_distance(apart.real)
        if bandwidth == 0:
            raise Unanswered("more than half of the pairs of judged samples are alike, so that distances have no scale")
        ideal = figures(measures.distances(real, training, apart.real)) if len(training) > k else {}
        return figures(apart), ideal, bandwidth

    def _features(self, trained: Trained) -> tuple[Features, tuple[str, ...]]:
        """What makes features [n, F] of samples [n, ...], and what is to be said of them."""
        file = self._file()
        if file is not None:
            return of_file(file, self.sha256)
        if self.features != "data":
            why = unlabelled(trained.splits.train)
            if why is None:
                return of_classifier(trained)
            if self.features == "classifier":
                raise Unanswered(f"a classifier cannot be trained: {why}; `features: data` compares the data themselves")
        return of_data(trained)


def _runs(tokens: NDArray[Any], real: NDArray[Any]) -> dict[str, float]:
    """How alike runs of tokens are to those of real ones."""
    from aebuild.metrics.ngrams import distinct_ngrams, ngram_divergence

    long = tokens.shape[1]
    found = {f"{name}_divergence": ngram_divergence(tokens, real, size) for name, size in RUNS.items() if size <= long}
    return found | ({"distinct_trigrams": distinct_ngrams(tokens, 3)} if long >= 3 else {})


@dataclass(frozen=True, eq=False)
class _Copies:
    """How near samples are to training samples: the distance of each [n] and the nearest one [n, ...], the figures and what to say."""

    distance: NDArray[Any]
    nearest_samples: NDArray[Any]
    figures: dict[str, float]
    notes: tuple[str, ...]


def _copies(trained: Trained, made: NDArray[Any]) -> _Copies:
    """Distances are between values, or shares of tokens that differ; there are no figures where judged samples were trained on."""
    from math import prod

    from aebuild.metrics.nearest import nearest, nearness_ratio, share_closer

    train, judged = trained.splits.train, trained.judged
    most = max(len(made), WORK // (prod(trained.plan.target.shape) * len(made)))
    training, held_back = (data_of(split.thinned(min(len(split), most))) for split in (train, judged))
    near = nearest(made, training)
    usual = nearest(held_back[:: -(-len(held_back) // len(made))], training)
    thinned = f"neighbours were sought among {len(training):,} of {len(train):,} training samples"
    notes = () if len(training) == len(train) else (thinned,)
    if not usual.distance.any():
        told = "the judged samples are training samples, so there is nothing to compare copies with"
        return _Copies(near.distance, training[near.rows], {}, (*notes, told))
    chance = len(held_back) / (len(held_back) + len(training))
    share = share_closer(nearest(made, held_back).distance, near.distance, chance)
    figures = {"nearness": nearness_ratio(near.distance, usual.distance), "held_back_share": share / chance}
    error = (chance * (1 - chance) / min(len(made), len(held_back))) ** 0.5
    doubts = _suspicion(figures, share, chance - FEWER * error, len(held_back))
    return _Copies(near.distance, training[near.rows], figures, (*notes, *doubts))


def _suspicion(figures: dict[str, float], share: float, least: float, held_back: int) -> tuple[str, ...]:
    """What is to be said of samples that are near to training data; smooth ones are near to all data, copies to those only.

    Chance leaves a `share` of the samples above `least` nearest to held-back ones; where that is not above 0, copies look like chance.
    """
    ratio = figures["nearness"]
    if not ratio < 1:
        return ()
    near = f"{ratio:.2g} times as far from the training data as real ones"
    if least <= 0:
        return (f"samples are {near}, but {held_back:,} held-back samples are too few to tell whether they are copied or only smoother",)
    if share < least:
        return (f"the model may have memorised training samples: its samples are {near}, and only {figures['held_back_share']:.0%} of "
                "those that should by chance are nearest to data that it was not trained on; unless these are of another kind or time",)
    return (f"samples are {near}, but no fewer are nearest to data that were not trained on than chance allows: they are smoother, "
            "not copied",)
