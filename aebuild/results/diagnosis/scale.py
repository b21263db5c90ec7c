"""Data and likelihoods of the wrong size."""

from __future__ import annotations

from aebuild.lang.diagnostics import Rule
from aebuild.lang.schedule import numbers
from aebuild.results.diagnosis.cause import Cause, Clear, Finding, story
from aebuild.results.diagnosis.evidence import Evidence
from aebuild.results.diagnosis.posterior import carried_nats, noise_of
from aebuild.results.diagnosis.remedies import anew, fixed
from aebuild.trainer.progress.formatting import number

SIZES = (0.01, 20.0)        # root mean squares that training copes with
TOO_WIDE = 5.0              # times the error that PCA with as large a code leaves
WORSE = 1.5                 # times the error of PCA: the model suffers from it
TOO_NARROW = 100.0          # times as large an error as the likelihood expects
LEARNED_FROM = 1.0          # the variance that a learned one begins with


class DataSize(Cause):
    """Values far from unit size."""

    rule = Rule("AE584", "data far from unit size", story(
        "The loss is huge or hardly moves, and a baseline is better than the model.",
        f"The root mean square of the training targets as the model sees them: below {SIZES[0]:g} or above {SIZES[1]:g}.",
        "Scale the data: `standard`, or `unit` where the likelihood wants values in an interval.", """\
```yaml
data: {path: big.npy, scale: none}
```
```yaml
data: {path: big.npy, scale: standard}
```
"""), "warning")
    needs = ("data", "evaluation")
    hides = ("learning rate too large", "learning rate too small", "training too short", "too narrow", "dead units", "learned by heart",
             "wrong scale of the likelihood", "price of the KL term")
    explains_defeat = True

    def concerns(self, evidence: Evidence) -> bool:
        """Tokens have no size."""
        return evidence.evaluation is None or evidence.evaluation.pca is not None

    def look(self, evidence: Evidence) -> Finding | Clear:
        """By the root mean square."""
        low, high = SIZES
        if low <= evidence.size <= high or evidence.size == 0 or evidence.verdict is None:
            return self.clear(root_mean_square=number(evidence.size))
        support = evidence.plan.spec.losses.reconstruction.support
        scale = "standard" if support is None else "unit"
        return self.found(f"the values are far from unit size (root mean square {number(evidence.size)})",
                          anew(evidence.run, f"data.scale={scale}"), {"root mean square": evidence.size}, "certain")


class LikelihoodScale(Cause):
    """A likelihood that expects errors of another size than the data have."""

    rule = Rule("AE585", "wrong scale of the likelihood", story(
        "The posterior collapses or the reconstructions are blurred although the KL term has its usual weight (the likelihood expects "
        "too large errors); or the KL is huge, samples are poor and the reconstruction term is far above zero (it expects too small "
        "ones).",
        "The variance that the likelihood takes for noise: that of `gaussian`, 1/2 of `mse`, both times the elements where "
        "`reduction: mean` divides by them. It is compared with the error that PCA with as many numbers leaves, and with the model's. "
        "A linear model uses a value of its code only where the data vary by more than this noise (Lucas et al., 2019).",
        "Learn the variance: `gaussian` with `variance: learned` (σ-VAE, Rybkin et al., 2021). It begins at 1; where the data vary by "
        "less, the code would not be worth its price before the variance has fallen, so the KL term rises over the first fifth of the "
        "training.", """\
```yaml
latent: {type: gaussian, dim: 8}
losses: {reconstruction: {type: gaussian, variance: 100}}
```
```yaml
latent: {type: gaussian, dim: 8}
losses: {reconstruction: {type: gaussian, variance: learned}, kl: {weight: {from: 0, to: 1, over: 20%}}}
```
"""), "warning")
    needs = ("data", "evaluation")
    hides = ("collapsed posterior", "price of the KL term", "too narrow", "training too short", "dead units", "learning rate too large",
             "learning rate too small")
    explains_defeat = True

    def concerns(self, evidence: Evidence) -> bool:
        """A squared error alone has no scale: only beside a KL term does it matter."""
        return evidence.term("kl") is not None and noise_of(evidence.plan) is not None

    def look(self, evidence: Evidence) -> Finding | Clear:
        """By the errors that are expected and those that are made."""
        noise, model, pca = noise_of(evidence.plan), evidence.scores.model.mse, evidence.scores.pca
        assert noise is not None
        if model is None or pca is None or pca.mse is None:
            return self.clear(expected_error=number(noise))
        possible = evidence.spectrum.left_after(evidence.scores.components)
        figures: dict[str, float | int | str] = {
            "variance taken for noise": noise, "squared error of the model": model, "that of PCA": pca.mse,
            "largest principal variance of the data": evidence.spectrum.at(1), "KL in nats": carried_nats(evidence)}
        fix = anew(evidence.run, "losses.reconstruction={type: gaussian, variance: learned}", *_later(evidence))
        weights = max(numbers(evidence.plan.term("kl").config.weight), default=0.0)
        drowned = noise > TOO_WIDE * possible and noise > evidence.spectrum.at(_half(evidence))
        if drowned and model > WORSE * pca.mse and weights <= 1:
            said = f"the likelihood takes a variance of {number(noise)} for noise, and PCA errs by {number(pca.mse)}"
            return self.found(said, fix, figures)
        if noise < model / TOO_NARROW:
            said = f"the likelihood expects squared errors of {number(noise)}, and the model's are {number(model)}"
            return self.found(said, fix, figures)
        return self.clear(variance_taken_for_noise=number(noise), squared_error=number(model), that_of_PCA=number(pca.mse))


def _later(evidence: Evidence) -> list[str]:
    """A KL term that rises, where the data vary by less than the learned variance begins with: it would drown them until it has fallen."""
    weight = evidence.plan.term("kl").config.weight
    if not fixed(weight) or evidence.spectrum.left_after(0) >= LEARNED_FROM:
        return []
    return [f"losses.kl.weight={{from: 0, to: {weight:g}, over: 20%}}"]


def _half(evidence: Evidence) -> int:
    """The middle one of the principal axes that the code could hold."""
    return max(1, min(evidence.scores.components, evidence.spectrum.axes_for(0.95)) // 2)
