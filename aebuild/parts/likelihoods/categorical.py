"""A categorical likelihood."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.diagnostics import Diagnostic, Hint, Rule
from aebuild.lang.node import Refusal
from aebuild.lang.terms import Likelihood, OutputPlan
from aebuild.lang.values import Range, Tokens, Value, elements

if TYPE_CHECKING:
    from torch import nn

WHOLE = Rule("AE346", "a categorical likelihood needs whole numbers", """\
A categorical likelihood gives a probability to each of the values that an element can have, so the data must be whole numbers
from 0 to a known largest one, as `scale: integer` leaves them.

```yaml
data: {type: mnist, scale: unit}
losses: {reconstruction: categorical}
```
```yaml
data: {type: mnist, scale: integer}
losses: {reconstruction: categorical}
```
""")


class Categorical(Likelihood):
    """Cross-entropy over the whole numbers that an element can be; the reconstruction is the expected number, or the likeliest token."""

    type: Literal["categorical"] = "categorical"
    example = ("data: {type: digits, limit: 20, scale: integer}\n"
               "losses: {reconstruction: {type: categorical, weight: 0.5}}")
    unit = "nats of cross-entropy"
    draws = True
    judges = ("vector", "grid", "sequence", "tokens")
    also = ("ce", "cross_entropy", "softmax", "sparse_categorical_crossentropy", "nll")

    def plan_output(self, target: Value, bounds: Range) -> OutputPlan:
        """A logit for each value of each element."""
        classes = self.classes(bounds)
        return OutputPlan(classes, elements(target), {"classes": classes})

    def classes(self, bounds: Range) -> int:
        """How many values an element can have; refuses data that are not whole numbers from 0."""
        if not bounds.integer or bounds.low != 0 or bounds.high is None:
            message = f"a categorical likelihood needs whole numbers from 0 up, but the data are {bounds}"
            hint = Hint("scale: integer under data")
            if bounds.integer:
                message += ", of which no header tells the largest"
                hint = Hint('store them as bytes, which are 0 to 255: x.astype("uint8")')
            raise Refusal(Diagnostic(WHOLE, message, self.place("type"), hint, "losses.reconstruction"))
        return int(bounds.high) + 1

    def build_likelihood(self, target: Value, bounds: Range) -> nn.Module:
        """The likelihood's module."""
        from aebuild.modules.categorical_likelihood import Categorical as CategoricalModule
        from aebuild.modules.categorical_likelihood import CategoricalTokens

        if isinstance(target, Tokens):
            return CategoricalTokens(target.classes)
        return CategoricalModule(self.classes(bounds), target.feature_axis)
