"""A Student-t likelihood."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.part import knob
from aebuild.lang.scales import Scale, Scaled
from aebuild.lang.values import Range, Value

if TYPE_CHECKING:
    from torch import nn


class StudentT(Scaled):
    """Negative log-density of Student's t around the reconstruction: gross outliers hardly count.

    The fewer the degrees of freedom, the heavier the tails; with very many it is a Gaussian (Takahashi et al., 2018, give a variational
    autoencoder such a decoder). The scale is a number, one learned number, one learned for each element of a sample, or predicted by the
    decoder for each element.
    """

    type: Literal["student_t"] = "student_t"
    example = "losses: {reconstruction: {type: student_t, df: 3, scale: 0.5, weight: 0.1}}"
    unit = "nats of negative log-density (which may be below 0)"
    remembers = 2
    also = ("student", "t", "students_t", "studentt", "t_distribution")
    scalar = "scale"
    floorless = True
    df: float = knob(4.0, "degrees of freedom", affects="loss", gt=0, le=1e6)
    scale: Scale = knob(
        1.0, "a number; learned: one for all; per_dim: one for each element; predicted: by the decoder", affects="loss")

    def build_likelihood(self, target: Value, bounds: Range) -> nn.Module:
        """The likelihood's module."""
        from aebuild.modules.scaled_likelihoods import StudentT as StudentTModule

        return StudentTModule(self.df, self.argument(target), target.feature_axis)
