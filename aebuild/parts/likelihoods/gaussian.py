"""A Gaussian likelihood."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from aebuild.lang.lint import Finding, Surroundings, warning
from aebuild.lang.node import Node
from aebuild.lang.part import knob
from aebuild.lang.terms import Likelihood, OutputPlan
from aebuild.lang.values import Range, Value, elements

if TYPE_CHECKING:
    from torch import nn


VARIANCE = warning("AE212", "predicted variance without a floor", """\
A decoder that predicts its own variance can drive it towards zero wherever the data are constant, such as the black border of digits;
the likelihood then grows without bound and training becomes unstable. A single learned variance is robust.

```yaml
data: mnist
losses: {reconstruction: {type: gaussian, variance: predicted}}
```
```yaml
losses: {reconstruction: {type: gaussian, variance: learned}}
```
""")


class Gaussian(Likelihood):
    """Negative log-density of a Gaussian around the reconstruction, with all constants.

    The variance is a number, one learned number (σ-VAE, Rybkin et al., 2021), one learned for each element of a sample, or
    predicted by the decoder for each element.
    """

    type: Literal["gaussian"] = "gaussian"
    example = "losses: {reconstruction: {type: gaussian, variance: 0.5, weight: 0.1}}"
    unit = "nats of negative log-density (which may be below 0)"
    also = ("normal", "gaussian_nll")
    variance: Annotated[float, Field(gt=0)] | Literal["learned", "per_dim", "predicted"] = knob(
        1.0, "a number; learned: one for all; per_dim: one for each element; predicted: by the decoder", affects="loss")

    def lint(self, node: Node | None, around: Surroundings) -> Iterator[Finding]:
        """A predicted variance has no floor where data are constant."""
        if self.variance == "predicted" and around.info.range.low is not None:
            yield VARIANCE, "the variance is predicted, and the data are bounded", self, "variance: learned"

    def plan_output(self, target: Value, bounds: Range) -> OutputPlan:
        """A mean for each element of the target, and a log-variance where it is predicted."""
        shapes: dict[float | str, tuple[int, ...]] = {"learned": (), "per_dim": target.shape}
        weights = {"log_variance": shapes[self.variance]} if self.variance in shapes else {}
        return OutputPlan(2 if self.variance == "predicted" else 1, elements(target), weights=weights)

    def build_likelihood(self, target: Value, bounds: Range) -> nn.Module:
        """The likelihood's module."""
        from aebuild.modules.likelihoods import FixedGaussian, LearnedGaussian, PredictedGaussian

        if self.variance == "predicted":
            return PredictedGaussian(target.feature_axis)
        if isinstance(self.variance, str):
            return LearnedGaussian(target.shape if self.variance == "per_dim" else ())
        return FixedGaussian(self.variance)
