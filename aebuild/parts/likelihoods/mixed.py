"""A likelihood for tables of numbers, categories and flags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from aebuild.lang.columns import Field as Column
from aebuild.lang.diagnostics import Diagnostic, Rule
from aebuild.lang.node import Refusal
from aebuild.lang.part import knob
from aebuild.lang.terms import Likelihood, OutputPlan
from aebuild.lang.values import Range, Value, Vector

if TYPE_CHECKING:
    from torch import nn

TABLES = Rule("AE368", "a mixed likelihood where no column is a category", """\
`mixed` judges each column of a table by its own likelihood: numbers by a Gaussian, categories by their cross-entropy, flags by that of a
coin. Data without columns of that kind are judged by one likelihood alone.

```yaml
data: digits
losses: {reconstruction: mixed}
```
```yaml
data: digits
losses: {reconstruction: gaussian}
```
""")


class Mixed(Likelihood):
    """Negative log-likelihood of a row: numbers as a Gaussian, categories and flags by their cross-entropy.

    The variance is that of the numbers: given, one learned for all, or one learned for each column. The reconstruction of a category is
    the probability of each of its words (Nazabal et al., 2020, have a column each its own likelihood).
    """

    type: Literal["mixed"] = "mixed"
    example = ("data: {type: table, path: rows.csv, columns: [0, 3, 4], categories: [4]}\n"
               "losses: {reconstruction: {type: mixed, variance: 0.5, weight: 0.1}}")
    reads_fields = True
    unit = "nats of negative log-likelihood (which may be below 0)"
    also = ("heterogeneous", "tabular", "multi")
    variance: Annotated[float, Field(gt=0)] | Literal["learned", "per_dim"] = knob(
        1.0, "of the numbers: a number; learned: one for all; per_dim: one for each column", affects="loss")

    def plan_output(self, target: Value, bounds: Range) -> OutputPlan:
        """A mean for each number, a logit for each category and flag; an element is a column."""
        if not bounds.fields or not isinstance(target, Vector):
            message = f"mixed is for tables with categories, and the data are {target} of {bounds}"
            raise Refusal(Diagnostic(TABLES, message, self.place("type"), "reconstruction: gaussian", "losses.reconstruction"))
        shapes: dict[float | str, tuple[int, ...]] = {"learned": (), "per_dim": (len(self._numbers(bounds)),)}
        weights = {"numbers.log_variance": shapes[self.variance]} if self.variance in shapes and self._numbers(bounds) else {}
        return OutputPlan(1, len(bounds.fields), weights=weights)

    def build_likelihood(self, target: Value, bounds: Range) -> nn.Module:
        """The likelihood's module."""
        from aebuild.modules.likelihoods import FixedGaussian, LearnedGaussian
        from aebuild.modules.mixed_likelihood import by_columns

        count, fixed = len(self._numbers(bounds)), 1.0 if isinstance(self.variance, str) else self.variance
        learned = isinstance(self.variance, str) and count
        numbers = LearnedGaussian((count,) if self.variance == "per_dim" else ()) if learned else FixedGaussian(fixed)
        return by_columns(numbers, [(field.kind, field.offset, field.width) for field in bounds.fields])

    @staticmethod
    def _numbers(bounds: Range) -> list[Column]:
        return [field for field in bounds.fields if field.kind == "number"]
