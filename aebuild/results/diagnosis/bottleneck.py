"""A code that is none."""

from __future__ import annotations

from aebuild.lang.diagnostics import Rule
from aebuild.lang.values import elements
from aebuild.results.diagnosis.beaten import LOSSLESS
from aebuild.results.diagnosis.cause import Cause, Clear, Finding, story
from aebuild.results.diagnosis.evidence import Evidence
from aebuild.results.diagnosis.remedies import anew
from aebuild.trainer.progress.formatting import number

KEPT = 0.9            # of the variance: what a smaller code should be able to hold


class IdentityBottleneck(Cause):
    """The code is as large as the data, so that the model copies."""

    rule = Rule("AE586", "identity bottleneck", story(
        "The error is next to nothing, and the code is of no use: it is the input in other words.",
        "The code has as many numbers as the data have elements, or as many as PCA needs to lose nothing, it is not random, and "
        "nothing else keeps the model from copying: no corruption of the input, no penalty on the code.",
        f"A code of as many numbers as PCA needs for {KEPT:.0%} of the variance, or corrupt the input (a denoising autoencoder).", """\
```yaml
data: wine                                  # 13 numbers
latent: {type: continuous, dim: 13}
```
```yaml
latent: {type: continuous, dim: 4}
```
"""), "warning")
    needs = ("evaluation", "data")
    hides = ("too narrow", "training too short", "dead units")

    def concerns(self, evidence: Evidence) -> bool:
        """A code of numbers that are not random, and nothing else that keeps from copying."""
        plan = evidence.plan
        penalised = any(term.name != "reconstruction" and term.name not in plan.spec.heads for term in plan.terms)
        return plan.latent.bits == 32 * plan.latent.values and not penalised and not plan.spec.corrupt and plan.target == plan.input

    def look(self, evidence: Evidence) -> Finding | Clear:
        """By the code's size and by what PCA of that size loses."""
        values, size, pca = evidence.plan.latent.values, elements(evidence.plan.target), evidence.scores.pca
        model = evidence.scores.model.mse
        if pca is None or pca.mse is None or model is None:
            return self.clear(code=values, data=size)
        figures: dict[str, float | int | str] = {"values of the code": values, "elements of the data": size, "squared error": model,
                                                 "that of PCA": pca.mse, "variance of an element": evidence.spectrum.left_after(0)}
        if values < size and pca.mse > LOSSLESS:
            return self.clear(code=values, data=size, error_of_PCA=number(pca.mse))
        enough = max(1, min(evidence.spectrum.axes_for(KEPT), values // 2))
        per = max(1, values // max(1, getattr(evidence.plan.spec.latent, "dim", None) or values))      # codes of a sample
        figures["components for 90 %"] = enough
        needed = evidence.spectrum.axes_for(KEPT)
        return self.found(f"the code has {values:,} numbers, the data {size:,}, of which PCA needs {needed:,} for {KEPT:.0%} of the "
                          f"variance: the model can copy, and its error of {number(model)} says nothing",
                          anew(evidence.run, f"latent.dim={max(1, enough // per)}"), figures, "certain")
