"""Likelihoods with a positive number beside the reconstruction: how a spec says where that number comes from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from aebuild.lang.lint import Finding, Surroundings, warning
from aebuild.lang.terms import Likelihood, OutputPlan
from aebuild.lang.values import Range, Value, elements

if TYPE_CHECKING:
    from aebuild.lang.node import Node

Scale = Annotated[float, Field(gt=0)] | Literal["learned", "per_dim", "predicted"]

VARIANCE = warning("AE212", "predicted variance without a floor", """\
A decoder that predicts its own variance can drive it towards zero wherever the data are constant, such as the black border of digits;
the likelihood then grows without bound and training becomes unstable. A single learned variance is robust. The same holds for the scale
of `laplace` and `student_t`.

```yaml
data: mnist
losses: {reconstruction: {type: gaussian, variance: predicted}}
```
```yaml
losses: {reconstruction: {type: gaussian, variance: learned}}
```
""")


class Scaled(Likelihood):
    """A likelihood with one positive number for each element, found as the field `number` says."""

    number: ClassVar[str] = "scale"
    weight_name: ClassVar[str] = "scale.log"           # of the learned numbers' logarithm
    floorless: ClassVar[bool] = False                  # a predicted scale may fall without bound

    def undrawn(self, bounds: Range) -> str | None:
        """One number for each element of a sample does not stand at one place."""
        return f"{self.number}: per_dim is of whole samples" if self.size == "per_dim" else super().undrawn(bounds)

    @property
    def size(self) -> Scale:
        """Where the number comes from."""
        found: Scale = getattr(self, self.number)
        return found

    def lint(self, node: Node | None, around: Surroundings) -> Iterator[Finding]:
        """A predicted scale has no floor where data are constant."""
        if self.floorless and self.size == "predicted" and around.info.range.low is not None:
            yield VARIANCE, f"the {self.number} is predicted, and the data are bounded", self, f"{self.number}: learned"

    def plan_output(self, target: Value, bounds: Range) -> OutputPlan:
        """A parameter for each element of the target, and the logarithm of the number where it is predicted."""
        shape = self.learned(target)
        weights = {} if shape is None else {self.weight_name: shape}
        return OutputPlan(2 if self.size == "predicted" else 1, elements(target), weights=weights)

    def learned(self, target: Value) -> tuple[int, ...] | None:
        """The shape of the learned numbers, None where none are."""
        return {"learned": (), "per_dim": target.shape}.get(str(self.size))

    def argument(self, target: Value) -> float | tuple[int, ...] | None:
        """The number itself, the shape of learned ones, or None where it is predicted, as modules take it."""
        return self.learned(target) if isinstance(self.size, str) else self.size
