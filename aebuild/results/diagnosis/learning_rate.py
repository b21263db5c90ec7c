"""Learning rates that are too large or too small."""

from __future__ import annotations

from aebuild.lang.diagnostics import Rule
from aebuild.results.diagnosis.cause import Cause, Clear, Finding, story
from aebuild.results.diagnosis.evidence import Evidence
from aebuild.results.diagnosis.length import LONGEST, hardly_begun, times_as_long
from aebuild.results.diagnosis.remedies import rate_of, usual_rate, with_rate
from aebuild.trainer.progress.formatting import number

FACTOR = 10.0        # by which a rate is changed


class Diverged(Cause):
    """NaN or infinity ended the training."""

    rule = Rule("AE581", "diverged", story(
        "Training ended with AE701: NaN or infinity.",
        "The log names the step, the first module and the term that were not finite; beside them stand the learning rate, the largest "
        "gradient norm that is let through (`clip`), and the size of the data.",
        "A tenth of the learning rate, at most the optimiser's usual one; where it was no larger than that, clipped gradients too.", """\
```yaml
train: {optimizer: {type: sgd, lr: 10}}
```
```yaml
train: {optimizer: {type: sgd, lr: 0.01}}
```
"""), "warning")
    hides = ("ended early", "learning rate too large", "learning rate too small", "too narrow", "training too short", "dead units",
             "collapsed posterior", "dead codebook", "price of the KL term")

    def look(self, evidence: Evidence) -> Finding | Clear:
        """Whether the log ends with AE701."""
        lr, usual = rate_of(evidence.plan)[0], usual_rate(evidence.plan)
        clip = evidence.plan.model_phase.players[0].clip
        figures: dict[str, float | int | str] = {"learning rate": lr, "usual rate": usual, "clip": "none" if clip is None else clip}
        if evidence.state != "diverged":
            return self.clear(state=evidence.state)
        told = evidence.reason.partition("AE701: ")[2] or evidence.reason
        further = ("train.clip=1.0",) if clip is None and lr <= usual else ()
        fix = with_rate(evidence.run, evidence.plan, min(usual, lr / FACTOR), *further)
        return self.found(f"{told}; the learning rate was {lr:g}", fix, figures, "certain")


class RateTooLarge(Cause):
    """The loss jumps, or hardly moves at a rate far above the usual one."""

    rule = Rule("AE582", "learning rate too large", story(
        "The loss goes up and down, ends above its beginning, or stays where it was, and a baseline is better than the model.",
        "The training loss of each epoch in `metrics.jsonl`: in its second half it rose at least half as much as it fell, in steps of "
        "more than a tenth of its whole range. Rises of a weight that has a schedule are taken out first.",
        "A tenth of the learning rate.", """\
```yaml
train: {optimizer: {type: adam, lr: 0.3}}
```
```yaml
train: {optimizer: {type: adam, lr: 0.03}}
```
"""), "warning")
    needs = ("curves", "evaluation")
    hides = ("dead units", "training too short", "too narrow", "learned by heart")
    explains_defeat = True

    def look(self, evidence: Evidence) -> Finding | Clear:
        """By the curve of the training loss."""
        curves, verdict = evidence.curves, evidence.verdict
        lr, usual = rate_of(evidence.plan)[0], usual_rate(evidence.plan)
        figures: dict[str, float | int | str] = {"learning rate": lr, "usual rate": usual, "loss of the first epoch": curves.losses[0],
                                                 "loss of the last epoch": curves.losses[-1], "largest rise": curves.largest_rise()}
        if verdict is not None and curves.unsteady():
            return self.found(f"the loss goes up and down, so the learning rate of {lr:g} is too large",
                              with_rate(evidence.run, evidence.plan, lr / FACTOR), figures)
        if verdict is not None and verdict.by_a_constant and lr > usual and not hardly_begun(evidence):
            return self.found(f"the loss hardly moves, and the learning rate of {lr:g} is a large one",
                              with_rate(evidence.run, evidence.plan, max(usual, lr / FACTOR)), figures)
        return self.clear(learning_rate=lr, first_loss=number(curves.losses[0]), last_loss=number(curves.losses[-1]))


class RateTooSmall(Cause):
    """The loss hardly moves at a rate that is not a large one."""

    rule = Rule("AE594", "learning rate too small", story(
        "After all epochs the model is hardly better than when it began, and even one guess for all samples beats it.",
        f"The mean of the training samples reconstructs better, or the loss falls so slowly that {LONGEST} times the epochs would not "
        "do, at a learning rate not above the optimiser's usual one.",
        "Ten times the learning rate, at least the usual one.", """\
```yaml
train: {optimizer: {type: adam, lr: 1e-7}}
```
```yaml
train: {optimizer: {type: adam, lr: 1e-3}}
```
"""), "warning")
    needs = ("curves", "evaluation")
    hides = ("too narrow",)
    explains_defeat = True

    def look(self, evidence: Evidence) -> Finding | Clear:
        """By the curve, where a baseline is better."""
        verdict, (lr, _), usual = evidence.verdict, rate_of(evidence.plan), usual_rate(evidence.plan)
        if verdict is None or not (verdict.by_a_constant or times_as_long(evidence) > LONGEST) or lr > usual:
            return self.clear(learning_rate=lr, usual_rate=usual)
        return self.found(f"the loss hardly moves, so the learning rate of {lr:g} is too small",
                          with_rate(evidence.run, evidence.plan, max(usual, lr * FACTOR)), {"learning rate": lr, "usual rate": usual})
