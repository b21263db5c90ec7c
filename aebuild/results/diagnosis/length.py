"""Trainings that are too short."""

from __future__ import annotations

from aebuild.compile.duration import STEPS
from aebuild.lang.diagnostics import Rule
from aebuild.lang.schedule import numbers
from aebuild.lang.terms import without_level
from aebuild.results.curves import Curves
from aebuild.results.diagnosis.cause import Cause, Clear, Finding, story
from aebuild.results.diagnosis.evidence import Evidence
from aebuild.results.diagnosis.remedies import longer, rate_of, usual_rate

LONGEST = 20                # times as long: what needs more will not get there in this way
BEGUN = STEPS // 10         # steps after which a pace tells how long it will take
FLAT = 0.02                 # of all that the loss fell by: what falls by less in the last quarter of a long training has ended
STEEP = 0.10                # of all that the loss fell by: what falls by more in its last quarter is far from its end


class TooShort(Cause):
    """The loss was still falling."""

    rule = Rule("AE592", "training too short", story(
        "The loss was still falling when the training ended, and the model is worse than it could be.",
        "The validation score of each epoch in `metrics.jsonl` (the training loss where nothing validates). Where a baseline is "
        f"better, any fall at the end that is more than its noise counts, and of fewer than {STEPS:,} steps a curve that is flat because "
        f"the learning rate had fallen to a tenth; else the last quarter must hold {STEEP:.0%} of the whole fall.",
        f"Go on with the run: at the last pace to the better baseline and once more as long, at least twice as long and {STEPS:,} "
        "steps.", """\
```console
$ aebuild train --resume runs/vae --set train.epochs=40 --allow
```
"""), "warning")
    needs = ("curves", "evaluation")
    hides = ("price of the KL term", "too narrow", "learning rate too small")
    explains_defeat = True

    def look(self, evidence: Evidence) -> Finding | Clear:
        """By the pace at the end."""
        curves, pace = evidence.curves, evidence.curves.pace()
        share = curves.last_quarter()
        figures: dict[str, float | int | str] = {"epochs": curves.epochs, "steps": evidence.steps, "fall of an epoch at the end": pace,
                                                 "share of the fall in the last quarter": share}
        begun = not hardly_begun(evidence)
        falling = curves.epochs <= 1 or pace > 0 or not begun
        times = times_as_long(evidence)
        if evidence.verdict is not None:
            wanted = falling and (times <= LONGEST or not begun) and (evidence.steps < STEPS or share > FLAT)
        else:
            wanted = pace > 0 and share > STEEP and evidence.steps < STEPS
        cooled = not wanted and _cooled(evidence)
        if not wanted and not cooled:
            return self.clear(steps=evidence.steps, share_of_the_fall_in_the_last_quarter=f"{share:.0%}")
        times = max(min(times, LONGEST), STEPS / max(1, evidence.steps))
        lasting = f"{curves.epochs:,} epoch{'s'[:curves.epochs != 1]}"
        why = "and stands still because its learning rate had fallen" if cooled else "while the loss was still falling"
        return self.found(f"training ended after {lasting} {why}: train longer",
                          longer(evidence.run, evidence.plan, times), figures | {"times as long": times},
                          "possible" if cooled else "likely")


def _cooled(evidence: Evidence) -> bool:
    """True if a short training that only PCA beats stands still because its learning rate fell, and does not learn by heart.

    Beside a KL term it is not said: what that costs does not grow less with more steps.
    """
    curves, verdict = evidence.curves, evidence.verdict
    short = evidence.settled and evidence.steps < STEPS and verdict is not None and not verdict.by_a_constant
    paid = short and any(without_level(name) == "kl" for name in evidence.scores.model.terms)
    return short and not paid and not curves.unsteady() and not curves.by_heart()


def hardly_begun(evidence: Evidence) -> bool:
    """True if so few steps were taken, at a rate that is not a small one, that the pace says nothing but that the training loss falls."""
    losses = evidence.curves.losses
    return evidence.steps < BEGUN and rate_of(evidence.plan)[0] >= usual_rate(evidence.plan) / 10 and Curves(losses, losses).pace() > 0


def times_as_long(evidence: Evidence) -> float:
    """How many times its length a training needs at its last pace to the better baseline and once more as long; at least 2."""
    verdict, pace = evidence.verdict, evidence.curves.pace()
    if verdict is None or pace <= 0 or verdict.measure != "reconstruction":
        return 2.0
    weight = max(numbers(evidence.plan.term("reconstruction").config.weight))
    return max(2.0, 1 + 2 * weight * (verdict.ours - verdict.best) / pace / evidence.curves.epochs)
