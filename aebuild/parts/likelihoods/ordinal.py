"""A likelihood of grades."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from aebuild.lang.diagnostics import Diagnostic, Rule
from aebuild.lang.node import Refusal
from aebuild.lang.part import knob
from aebuild.lang.terms import Likelihood, OutputPlan
from aebuild.lang.values import Range, Value, elements

if TYPE_CHECKING:
    from torch import nn

UNGRADED = Rule("AE377", "an ordinal likelihood where grades are not known", """\
Grades are whole numbers from 0 to a largest one, such as the answers of a questionnaire, as `scale: integer` keeps them. Where no header
tells the largest, `grades` says how many there are.

```yaml
data: {type: wine, scale: integer}
latent: {type: continuous, dim: 2}
losses: {reconstruction: ordinal}
```
```yaml
losses: {reconstruction: {type: ordinal, grades: 5}}
```
""")


class Ordinal(Likelihood):
    """Surprise at grades: whole numbers from 0 that have an order, but whose distances mean nothing.

    The output is a number for each element; thresholds cut its axis into grades, through which a logistic noise moves it (cumulative
    logits, McCullagh, 1980). The reconstruction is the expected grade.
    """

    type: Literal["ordinal"] = "ordinal"
    example = ("data: {type: digits, limit: 20, scale: integer}\n"
               "losses: {reconstruction: {type: ordinal, grades: 17, weight: 0.5}}")
    unit = "nats of surprise at its grades"
    remembers = 10
    also = ("cumulative_logits", "ordered_logit", "proportional_odds", "ordinal_regression")
    grades: Annotated[int, Field(ge=3, le=10_000)] | None = knob(
        None, "how many grades there are (default: as the data are stored)", affects="graph")
    thresholds: Literal["learned", "per_dim"] = knob(
        "learned", "learned: the same for all elements; per_dim: own ones for each", affects="loss")

    def plan_output(self, target: Value, bounds: Range) -> OutputPlan:
        """A number for each element."""
        grades, shape = self.number_of(bounds), self._shape(target)
        return OutputPlan(1, elements(target), weights={"first": (*shape, 1), "log_gaps": (*shape, grades - 2)})

    def number_of(self, bounds: Range) -> int:
        """How many grades; Refusal where that is not known, or the data are no grades."""
        known = int(bounds.high) + 1 if bounds.integer and bounds.high is not None else None
        fits = bounds.integer and bounds.low in (None, 0) and not bounds.fields
        if fits and known is not None and known > (self.grades or known):
            raise Refusal(Diagnostic(UNGRADED, f"there are {self.grades} grades, but the data are {bounds}", self.place("grades"),
                                     f"grades: {known}", "losses.reconstruction"))
        grades = (self.grades or known or 0) if fits else 0
        if grades < 3:
            message = f"an ordinal likelihood needs grades, three whole numbers from 0 or more, but the data are {bounds}"
            fix = "reconstruction: {type: ordinal, grades: 5}" if fits and known is None else "reconstruction: gaussian"
            raise Refusal(Diagnostic(UNGRADED, message, self.place("type"), fix, "losses.reconstruction"))
        return grades

    def build_likelihood(self, target: Value, bounds: Range) -> nn.Module:
        """The likelihood's module."""
        from aebuild.modules.ordinal_likelihood import Ordinal as OrdinalModule

        return OrdinalModule(self.number_of(bounds), self._shape(target))

    def _shape(self, target: Value) -> tuple[int, ...]:
        return target.shape if self.thresholds == "per_dim" else ()
