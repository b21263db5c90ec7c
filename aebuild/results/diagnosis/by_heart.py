"""Training samples that are learned by heart."""

from __future__ import annotations

from aebuild.lang.diagnostics import Hint, Rule
from aebuild.results.curves import PARTED
from aebuild.results.diagnosis.cause import Cause, Clear, Finding, story
from aebuild.results.diagnosis.evidence import Evidence
from aebuild.results.diagnosis.measurements import squared_error
from aebuild.results.diagnosis.remedies import anew, rounded
from aebuild.trainer.progress.formatting import number

SLIGHTLY = 1.3        # times it: less is no sign, whatever the curves look like
WORSE = 1.5           # times the error on training samples, which is a little smaller in any case

class LearnedByHeart(Cause):
    """Overfitting."""

    rule = Rule("AE591", "learned by heart", story(
        "The training loss falls on, the validation loss stays far above it or rises again.",
        "Training and validation loss of each epoch in `metrics.jsonl`: at the end the gap is above a third of all that the training "
        "loss fell by, or the best validation score lies in the first seven tenths of the training and the training loss fell on. "
        "Where that is not so or no baseline is better, the squared errors of the trained model on training samples and on the judged "
        f"split decide: the one is {WORSE:g} times the other, and the gap above a third of what the model explains, or PCA lies "
        "between them.",
        "More samples, which nothing replaces: all of the data where `limit` holds some back. Else noise on the input, which makes a "
        "new sample of each one in each epoch (Vincent et al., 2008); narrower layers, a smaller code, weight decay or dropout help a "
        "little too.", """\
```yaml
data: {type: digits, limit: 50}
encoder: [linear: 512]
```
```yaml
data: digits
encoder: [linear: 512]
```
"""), "warning")
    needs = ("curves", "evaluation", "data")
    hides = ("price of the KL term", "too narrow", "training too short", "learning rate too large")
    explains_defeat = True

    def look(self, evidence: Evidence) -> Finding | Clear:
        """By the curves where a baseline is better, and by the errors of the trained model where it is there."""
        curves, told = evidence.curves, self._told(evidence)
        by_curves = evidence.verdict is not None and curves.by_heart()
        if told is None:
            if not by_curves:
                return self.clear(training_loss=number(curves.losses[-1]), validation_loss=number(curves.scores[-1]))
            return self._by_curves(evidence)
        known, judged = told["error on training samples"], told["error on the judged split"]
        if by_curves and judged > SLIGHTLY * known:
            return self._by_curves(evidence)
        guess, pca = told["error of the mean"], evidence.scores.pca
        only_known = evidence.verdict is not None and pca is not None and known < (pca.mse or 0.0) < judged
        if not (judged > WORSE * known and (only_known or judged - known > PARTED * (guess - known) > 0)):
            return self.clear(error_on_training=number(known), error_on_the_judged_split=number(judged))
        return self.found(f"the training samples are learned by heart: their squared error is {number(known)}, that of the "
                          f"{evidence.scores.split} split {number(judged)}", _remedy(evidence),
                          {**told, "training samples": len(evidence.data.train)})

    def _by_curves(self, evidence: Evidence) -> Finding:
        losses, scores = evidence.curves.losses, evidence.curves.scores
        return self.found(f"the training samples are learned by heart: their loss ended at {number(losses[-1])}, that of validation at "
                          f"{number(scores[-1])}", _remedy(evidence),
                          {"training loss": losses[-1], "validation loss": scores[-1], "best validation loss": min(scores),
                           "training samples": len(evidence.data.train)})

    @staticmethod
    def _told(evidence: Evidence) -> dict[str, float] | None:
        """The squared errors, where there are two splits of numbers and a model."""
        judged, guess = evidence.scores.model.mse, evidence.scores.mean.mse
        if evidence.trained is None or judged is None or guess is None or evidence.scores.split == "training":
            return None
        known = squared_error(evidence.trained, evidence.data.train)
        return {"error on training samples": known, "error on the judged split": judged, "error of the mean": guess}


def _remedy(evidence: Evidence) -> str:
    """The command with all samples, or with noise of a third of what an element varies by; a hint where there is some already."""
    plan = evidence.plan
    if getattr(plan.spec.data, "limit", None) is not None:
        return anew(evidence.run, "data.limit=null")
    if plan.spec.corrupt or plan.input.dtype == "int64" or plan.input != plan.target:
        return Hint("more samples, narrower layers, dropout or a corruption of the input")
    spread = evidence.spectrum.left_after(0) ** 0.5
    return anew(evidence.run, f"corrupt=[gaussian: {{std: {rounded(spread / 3)}}}]") if spread > 0 else Hint("data that vary")
