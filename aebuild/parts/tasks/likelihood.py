"""How probable the data are under the model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from aebuild.lang.part import knob
from aebuild.lang.tasks import Answer, LinePlot, Task, Trained, Unanswered
from aebuild.lang.terms import without_level
from aebuild.lang.values import Tokens

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.lang.splits import Split

AT_ONCE = 16            # draws a sample of one pass


class Likelihood(Task):
    """The evidence bound and its parts, and the log-likelihood by importance sampling (Burda et al., 2015).

    Of a codebook there is the bound alone: surprise at the sample and, under the prior, at its indices. A Bernoulli likelihood is one of
    zeros and ones: of grey values it has no log-likelihood, unless `binarize` says how they become zeros and ones, which the names of
    the figures then repeat, since likelihoods of data that were binarised in different ways do not compare.
    """

    type: Literal["likelihood"] = "likelihood"
    scalar = "draws"
    scales: ClassVar[dict[str, str]] = dict.fromkeys(("elbo", "distortion", "log_likelihood", "bits_per_dimension"), "reconstruction")
    meanings: ClassVar[dict[str, str]] = {
        "elbo": "nats, a lower bound of the log-likelihood of a sample; higher is better",
        "distortion": "nats of surprise at a sample given its code; lower is better",
        "rate": "nats that the code of a sample costs under the prior; lower is better",
        **{f"log_likelihood{kind}": f"nats of a sample{how}, by importance sampling; higher is better"
           for kind, how in (("", ""), ("_static", ", drawn once as zeros and ones"), ("_threshold", ", as ones above one half"))},
        "standard_error": "of that mean over the samples, in nats",
        "bits_per_dimension": "bits of a value of a sample; of a density in the model's units, which can be below zero; lower is better",
        "effective_draws": "draws that count among those of a sample, from 1 to all; more make a surer figure"}
    example: ClassVar[str] = """\
data: {type: digits, limit: 60}
encoder: [linear: 8]
latent: {type: gaussian, dim: 2}
losses: {reconstruction: bernoulli}
evaluate: {tasks: [likelihood: {draws: 5, binarize: static, seed: 1}]}
"""
    draws: int = knob(200, "importance samples of the code for each sample", affects="evaluation", ge=1, le=1_000_000)
    binarize: Literal["none", "static", "threshold"] = knob(
        "none", "static draws each value of [0, 1] once as a one or a zero, threshold takes ones above one half", affects="evaluation")
    seed: int = knob(0, "of the draws", affects="evaluation", ge=0, lt=2**31)

    def evaluate(self, trained: Trained) -> Answer:
        """So many passes over the judged split as it takes for the draws; one draw a sample at a time is held."""
        split = trained.judged if self.binarize == "none" else self._binarized(trained)
        if trained.plan.term("reconstruction").config.reduction == "mean" or "nats" not in trained.plan.term("reconstruction").config.unit:
            raise Unanswered("the reconstruction term is an error and no likelihood in nats, so nothing is known of probabilities")
        if isinstance(trained.plan.latent.codes, Tokens):
            return self._of_indices(trained, split)
        if not _variational(trained, split):
            raise Unanswered("the code is not variational, so it has no density and the data have no likelihood")
        import numpy as np

        each = _weighed(trained, split, self.draws, self.seed)
        distortion, rate = float(each.distortion.mean()), float(each.rate.mean())
        figures = {"elbo": -(distortion + rate), "distortion": distortion, "rate": rate}
        if self.binarize == "none" and each.grey and str(trained.plan.spec.losses.reconstruction.variant_name()) == "bernoulli":
            return Answer(figures, (), ("these data are not zeros and ones: their cross-entropy is no likelihood, so there is no "
                                        "log_likelihood; `binarize: static` or `threshold` judges them as zeros and ones",))
        found = each.log_mean
        if not np.isfinite(found).all():
            return Answer(figures, (), tuple(_impossible(each.rate)))
        name = "log_likelihood" if self.binarize == "none" else f"log_likelihood_{self.binarize}"
        figures |= {name: float(found.mean()), "standard_error": float(found.std(ddof=1) / len(found)**0.5) if len(found) > 1 else np.nan,
                    "bits_per_dimension": float(-found.sum() / each.elements / np.log(2)),
                    "effective_draws": float(each.effective.mean())}
        order = np.sort(found)
        return Answer(figures, (LinePlot("log-likelihood of the samples", "share of the samples", "nats", {
            trained.plan.spec.name: (np.linspace(0, 1, len(order)), order)}),), _told(each, self.draws))

    def _of_indices(self, trained: Trained, split: Split) -> Answer:
        """The bound of a discrete code without noise."""
        import numpy as np

        distortion, rate = [], []
        for outputs in trained.passes(split):
            distortion.append(_surprise(trained, outputs))
            rate.append(_by_row(trained.model.latent.surprise(outputs)))
        given, costs = float(np.concatenate(distortion).mean()), np.concatenate(rate)
        cost = float(costs.mean())
        return Answer({"elbo": -(given + cost), "distortion": given, "rate": cost}, (), (
            "a discrete code without noise has a bound and no importance samples", *_impossible(costs)))

    def _binarized(self, trained: Trained) -> Split:
        """The judged split as zeros and ones, both what is encoded and what is reproduced."""
        import numpy as np

        from aebuild.lang.splits import Split

        split, bounds = trained.judged, trained.plan.bounds
        if (bounds.low, bounds.high) != (0, 1) or isinstance(trained.plan.target, Tokens):
            raise Unanswered(f"data are binarised that lie in [0, 1]; these are {bounds}")
        random = np.random.default_rng(self.seed)

        def ones(values: NDArray[Any]) -> NDArray[np.float32]:
            level = random.random(values.shape, dtype=np.float32) if self.binarize == "static" else 0.5
            return (values > level).astype(np.float32)

        x = ones(split.x)
        return Split(x, target=None if split.target is None else ones(split.target), **split.beside)


class _Weights:
    """Sums over the importance weights of each sample, joined pass by pass."""

    def __init__(self, count: int) -> None:
        import numpy as np

        self.distortion, self.rate = np.zeros(count), np.zeros(count)
        self.log_sum, self.log_squares, self.draws = np.full(count, -np.inf), np.full(count, -np.inf), 0
        self.elements, self.grey = 0, False

    def add(self, start: int, distortion: NDArray[Any], rate: NDArray[Any]) -> None:
        """Draws [n, k] of the samples from `start` on."""
        import numpy as np

        rows, log_weights = slice(start, start + len(distortion)), -(distortion + rate)
        self.distortion[rows] += distortion.sum(1)
        self.rate[rows] += rate.sum(1)
        self.log_sum[rows] = np.logaddexp(self.log_sum[rows], np.logaddexp.reduce(log_weights, 1))
        self.log_squares[rows] = np.logaddexp(self.log_squares[rows], np.logaddexp.reduce(2 * log_weights, 1))

    def see(self, target: Any, counts: Any) -> None:
        """A batch of data and which of them count: how many these are, and whether any is neither zero nor one."""
        real = target if counts is None else target[counts.expand_as(target)]
        self.elements += real.numel()
        self.grey |= real.is_floating_point() and bool(((real != 0) & (real != 1)).any())

    def finish(self, draws: int) -> None:
        """Sums become means."""
        import numpy as np

        self.distortion, self.rate, self.draws = self.distortion / draws, self.rate / draws, draws
        self.log_mean = self.log_sum - np.log(draws)
        with np.errstate(invalid="ignore"):                   # of samples that are impossible
            self.effective = np.exp(2 * self.log_sum - self.log_squares)


def _weighed(trained: Trained, split: Split, draws: int, seed: int) -> _Weights:
    found, left, number = _Weights(len(split)), draws, 0
    while left:
        some = min(left, AT_ONCE)
        start = 0
        for outputs in trained.passes(split, some, seed * 1_000_003 + number):
            rate = (kl_of(outputs) + _of_levels(trained, outputs)).reshape(-1, some)
            if not number:
                counts = trained.model.likelihood.counts(outputs)
                found.see(outputs.target[::some], None if counts is None else counts[::some])
            found.add(start, _surprise(trained, outputs).reshape(-1, some), rate)
            start += len(rate)
        left, number = left - some, number + 1
    found.finish(draws)
    return found


def kl_of(outputs: Any) -> NDArray[Any]:
    """The KL term of each code, [N], of all levels together."""
    found: NDArray[Any] = sum(_by_row(term) for name, term in outputs.code.terms.items() if without_level(name) == "kl")  # type: ignore[assignment]
    return found


def _of_levels(trained: Trained, outputs: Any) -> NDArray[Any] | float:
    """Nats of the indices of those levels of a code that have no KL, [N]."""
    from aebuild.modules.latent_levels import MixedLevels

    return _by_row(trained.model.latent.surprise_at_indices(outputs)) if isinstance(trained.model.latent, MixedLevels) else 0.0


def _by_row(nats: Any) -> NDArray[Any]:
    """Nats of each code: as they are, or summed over its values."""
    found: NDArray[Any] = (nats.flatten(1).sum(1) if nats.ndim > 1 else nats).detach().double().cpu().numpy()
    return found


def _surprise(trained: Trained, outputs: Any) -> NDArray[Any]:
    """Nats of each sample or draw given its code."""
    found: NDArray[Any] = trained.model.losses(outputs, ["reconstruction"])["reconstruction"].detach().double().cpu().numpy()
    return found


def _variational(trained: Trained, split: Split) -> bool:
    return next(iter(trained.passes(split.thinned(1), 1))).code.posterior is not None


def _impossible(rate: NDArray[Any]) -> Iterator[str]:
    """That a prior which counts entries gives some codes no chance, of nats [n]."""
    import numpy as np

    lost = int(np.isposinf(rate).sum())
    if lost:
        yield (f"the prior gives the codes of {lost:,} samples no chance, for it has seen such entries in no training sample: they cost "
               "infinitely many nats")


def _told(each: _Weights, draws: int) -> tuple[str, ...]:
    poor = float((each.effective < 2).mean())
    return (f"for {poor:.0%} of the samples fewer than two of the {draws:,} draws count: the true log-likelihood may be well above",) \
        if draws > 1 and poor > 0.1 else ()
