"""Likelihoods of counts: what their data must be, and what a sample's total has to do with its rates."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Literal

from aebuild.lang.diagnostics import Diagnostic, Rule
from aebuild.lang.node import Refusal
from aebuild.lang.part import knob
from aebuild.lang.scales import Scale, Scaled
from aebuild.lang.terms import Likelihood, OutputPlan
from aebuild.lang.values import Range, Value

Library = Literal["observed", "decoded"]
LIBRARY = ("observed: a sample's own total is known, and the decoder says which share of it each element has; decoded: the decoder gives "
           "the rates themselves")

UNCOUNTED = Rule("AE376", "a likelihood of counts for what are no counts", """\
Counts are whole numbers from 0, as `scale: integer` keeps them. Scaled or standardised they are counts no longer, and the formulas of
Poisson and its relatives mean nothing. What the encoder gets may be brought to size by its first step, `log1p`.

```yaml
data: {type: counts, scale: standard}
losses: {reconstruction: negative_binomial}
```
```yaml
data: {type: counts, scale: integer}
encoder: [log1p, linear: 128]
losses: {reconstruction: negative_binomial}
```
""")


class CountLikelihood(Likelihood):
    """A likelihood of whole numbers from 0."""

    judges: ClassVar[tuple[str, ...]] = ("vector", "grid", "sequence")

    def check_counts(self, bounds: Range) -> None:
        """Refusal of data that are not whole numbers, or may be below 0."""
        if not bounds.integer or (bounds.low is not None and bounds.low < 0) or bounds.fields:
            raise Refusal(Diagnostic(UNCOUNTED, f"{self.variant_name()} needs whole numbers from 0, but the data are {bounds}",
                                     self.place("type"), "reconstruction: gaussian", "losses.reconstruction",
                                     notes=("or keep it, and write `scale: integer` under `data`",)))

    @staticmethod
    def buffers(*, totals: bool) -> dict[str, tuple[int, ...]]:
        """What the module keeps of the training data: the mean total."""
        return {"typical": ()} if totals else {}


class DispersedCounts(Scaled, CountLikelihood):
    """A likelihood of counts that are more spread than chance has it, with `parameters` of each element beside its dispersion."""

    number = "dispersion"
    weight_name = "dispersion.log"
    parameters: ClassVar[int] = 1
    dispersion: Scale = knob(
        "per_dim", "inverse dispersion θ: a number; learned: one for all; per_dim: one for each element; predicted: by the decoder",
        affects="loss")
    library: Library = knob("observed", LIBRARY, affects="loss")

    def plan_output(self, target: Value, bounds: Range) -> OutputPlan:
        """The parameters of each element, the first a log-rate, and the logarithm of the dispersion where it is predicted."""
        self.check_counts(bounds)
        plan = super().plan_output(target, bounds)
        return replace(plan, channels=plan.channels + self.parameters - 1, buffers=self.buffers(totals=self.library == "observed"))
