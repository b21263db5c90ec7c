"""Posteriors that tell nothing of their sample, or less than they could."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from aebuild.lang.diagnostics import Rule
from aebuild.lang.schedule import Ramp, numbers
from aebuild.results.diagnosis.cause import Cause, Clear, Finding, story
from aebuild.results.diagnosis.evidence import Evidence
from aebuild.results.diagnosis.measurements import Spectrum, spectrum
from aebuild.results.diagnosis.remedies import anew, rounded
from aebuild.trainer.progress.formatting import number

if TYPE_CHECKING:
    from aebuild.compile.plan import Plan

COLLAPSED = 0.25            # nats: a code of so few tells next to nothing of its sample
RISING = 1.05               # times what it was in the middle of the training: the code is only beginning to be used
MARGIN = 2.0                # how far above the noise a direction should stand to be used
NUMBER = 32 * math.log(2)   # nats that a whole float32 number carries at most


def carried_nats(evidence: Evidence) -> float:
    """The KL of a sample, whatever its reduction."""
    term = evidence.plan.term("kl")
    kl = evidence.scores.model.terms.get("kl", math.nan)
    return kl * term.elements if term.config.reduction == "mean" else kl


def noise_of(plan: Plan) -> float | None:
    """The variance that a squared likelihood takes for noise, where it is a given number; None for another one or a learned one."""
    term = plan.term("reconstruction")
    variance = 0.5 if term.config.variant_name() == "mse" else getattr(term.config, "variance", None)
    weight = max(numbers(term.config.weight))
    if not isinstance(variance, int | float) or term.config.variant_name() not in ("mse", "gaussian") or weight == 0:
        return None
    return float(variance) * (term.elements if term.config.reduction == "mean" else 1) / weight


def signal(evidence: Evidence) -> Spectrum | None:
    """The principal variances of the data in units of the likelihood's noise; None where that is not known.

    A linear model uses a value of its code where this is above the weight of the KL term (Lucas et al., 2019). The noise of a Bernoulli
    likelihood is p(1 − p) for each element, with its mean p over the data.
    """
    noise = noise_of(evidence.plan)
    if noise is not None:
        return spectrum(evidence.rows, math.sqrt(noise))
    if evidence.plan.term("reconstruction").config.variant_name() != "bernoulli":
        return None
    mean = evidence.rows.mean(0, dtype=np.float64).clip(0, 1)
    noises = mean * (1 - mean)
    return spectrum(evidence.rows, np.sqrt(np.maximum(noises, max(noises.mean(), 1e-12) / 10)))


class CollapsedPosterior(Cause):
    """The code is the prior, whatever the sample."""

    rule = Rule("AE587", "collapsed posterior", story(
        "All reconstructions look alike, like the mean of the data. Samples do too.",
        "The KL term on the judged split is below a quarter of a nat, or less than one unit is active (the variance of its posterior "
        "mean over the samples is above 0.01; Burda et al., 2015), and the KL is not still rising. Beside it stands how many "
        "directions of the data are above the noise at this weight: so many units a linear model would use.",
        "A smaller weight, so that half of the code's values are worth their price; where the weight is not too large, one that rises "
        "over the first half of the training.", """\
```yaml
latent: {type: gaussian, dim: 8}
losses: {kl: 50}
```
```yaml
latent: {type: gaussian, dim: 8}
losses: {kl: {weight: {from: 0, to: 1, over: 50%}}}
```
"""), "warning")
    needs = ("curves", "evaluation")
    hides = ("price of the KL term", "dead units", "training too short", "too narrow", "learning rate too small", "learning rate too large")
    explains_defeat = True

    def concerns(self, evidence: Evidence) -> bool:
        """Where a KL term has a weight."""
        term = evidence.term("kl")
        return term is not None and max(numbers(term.config.weight)) > 0

    def look(self, evidence: Evidence) -> Finding | Clear:
        """By KL and active units."""
        kl, active = carried_nats(evidence), evidence.scores.model.metrics.get("active_units", math.nan)
        weight = evidence.plan.term("kl").config.weight
        figures = {"KL in nats": kl, "active units": active, "values of the code": evidence.plan.latent.values,
                   "weight of the KL term": max(numbers(weight))}
        if not (kl < COLLAPSED or active < 1) or _rising(evidence.terms.get("kl", ())):
            return self.clear(KL_in_nats=number(kl), active_units=f"{number(active)} of {evidence.plan.latent.values:,}")
        known = signal(evidence) if evidence.splits is not None else None
        if known is not None:
            figures["directions above the noise"] = int((known.variances > max(numbers(weight))).sum())
        return self.found(f"the posterior collapsed to the prior ({number(active)} active units, a KL of {number(kl)} nats)",
                          anew(evidence.run, _remedy(evidence, known)), figures, "certain")


def _rising(kl: tuple[float, ...]) -> bool:
    """True if the code is only beginning to be used."""
    return len(kl) > 2 and kl[-1] > RISING * kl[len(kl) // 2] and kl[-1] >= max(kl)


def _remedy(evidence: Evidence, known: Spectrum | None) -> str:
    """The setting of the KL term that helps."""
    weight = evidence.plan.term("kl").config.weight
    if isinstance(weight, Ramp | list):
        return "losses.kl.free_bits=0.1"
    half = max(1, min(evidence.plan.latent.values, known.axes_for(0.95)) // 2) if known is not None else 1
    worth = known.at(half) / MARGIN if known is not None else weight / 10
    best = 1.0 if weight > 1 and worth >= 1 else worth
    if 0 < best < weight:
        return f"losses.kl={rounded(best)}"
    return f"losses.kl.weight={{from: 0, to: {weight:g}, over: 50%}}"


class PriceOfKl(Cause):
    """The KL term holds the code below what PCA may carry."""

    rule = Rule("AE595", "price of the KL term", story(
        "PCA with as many numbers reconstructs better, and nothing else is wrong.",
        "The KL on the judged split: so many nats the code may carry, where a component of PCA is a whole float32 number.",
        "For better reconstructions at the cost of samples lower the weight; or let it be: `allow: {AE702: the samples matter}`.", """\
```yaml
losses: {kl: 1}
```
```yaml
losses: {kl: 0.1}
```
"""), "warning")
    needs = ("evaluation",)
    hides = ("too narrow",)
    explains_defeat = True

    def concerns(self, evidence: Evidence) -> bool:
        """Where a KL term has a weight."""
        term = evidence.term("kl")
        return term is not None and max(numbers(term.config.weight)) > 0

    def look(self, evidence: Evidence) -> Finding | Clear:
        """Where PCA is better, by no more than the KL can cost."""
        kl, weight = carried_nats(evidence), max(numbers(evidence.plan.term("kl").config.weight))
        if evidence.verdict is None or evidence.scores.pca is None or _too_costly(evidence):
            return self.clear(KL_in_nats=number(kl), weight=weight)
        said = f"the KL term, at weight {weight:g}, lets the code carry {number(kl)} nats, where PCA keeps whole float32 numbers; for " \
               "better reconstructions at the cost of samples, lower it"
        fix, failed = anew(evidence.run, f"losses.kl={rounded(weight / 10)}"), evidence.verdict.by_a_constant
        return Finding(self.rule, said, {"KL in nats": kl, "weight": weight}, fix, "likely" if failed else "possible", harmless=not failed)


def _too_costly(evidence: Evidence) -> bool:
    """True if what PCA would save of the loss is above the price of all the nats that the numbers of the code can hold."""
    kl, term, pca = evidence.plan.term("kl"), evidence.plan.term("reconstruction"), evidence.scores.pca
    if pca is None:
        return False
    saved = evidence.scores.model.terms["reconstruction"] - pca.terms["reconstruction"]
    nats = NUMBER * evidence.plan.latent.values / (kl.elements if kl.config.reduction == "mean" else 1)
    return saved * max(numbers(term.config.weight)) > max(numbers(kl.config.weight)) * nats
