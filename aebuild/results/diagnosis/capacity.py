"""Layers that are too narrow, which is left when nothing else is wrong."""

from __future__ import annotations

from aebuild.lang.diagnostics import Hint, Rule
from aebuild.results.diagnosis.cause import Cause, Clear, Finding, story
from aebuild.results.diagnosis.evidence import Evidence
from aebuild.results.diagnosis.remedies import rate_of, with_rate

SOFTER = 3.0          # times as small a rate for the end of a training


class TooNarrow(Cause):
    """A baseline is better, the curve is flat, and nothing else is wrong."""

    rule = Rule("AE596", "too narrow", story(
        "The curve is flat, and a baseline is better than the model.",
        "The evaluation, where no other cause was found.",
        "A smaller learning rate, which reaches a minimum that the present one jumps over; else wider or more layers.", """\
```yaml
encoder: [linear: 8]
```
```yaml
encoder: [linear: 256, linear: 64]
```
"""), "warning")
    needs = ("evaluation",)
    explains_defeat = True

    def look(self, evidence: Evidence) -> Finding | Clear:
        """Where a baseline is better."""
        verdict = evidence.verdict
        if verdict is None:
            return self.clear(better_baseline="none")
        lr = rate_of(evidence.plan)[0]
        figures: dict[str, float | int | str] = {verdict.baseline: verdict.theirs, "model": verdict.ours, "learning rate": lr}
        if evidence.settled:          # a smaller one has been tried
            return self.found("the curve is flat, and the learning rate had fallen by then, so the layers are too narrow for these data",
                              Hint("wider or more layers, or a larger code"), figures, "possible")
        return self.found("the curve is flat, so the layers are too narrow for these data, or the learning rate is too coarse for the end "
                          "of it", with_rate(evidence.run, evidence.plan, lr / SOFTER), figures, "possible")
