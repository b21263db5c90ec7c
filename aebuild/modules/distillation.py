"""What a trained encoder teaches another one."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from aebuild.modules.code import Code
from aebuild.modules.losses import Loss
from aebuild.modules.outputs import Outputs

Teacher = Callable[[Tensor, "Tensor | None"], Tensor]      # samples [N, ...] and their lengths to codes


def settled_value(code: Code) -> Tensor:
    """A code without its noise: the posterior's mean where there is one."""
    return code.value if code.posterior is None else code.posterior.mean


class Distillation(Loss):
    """The squared distance of codes from those that `teacher` gives the same samples, uncorrupted.

    The teacher is given from outside while a model is trained; it is no part of the model, whose term is None without it.
    """

    teacher: Teacher | None = None

    def loss(self, outputs: Outputs) -> Tensor | None:
        """[N, ...]."""
        if self.teacher is None:
            return None
        wanted = self.teacher(outputs.batch.x, outputs.batch.lengths)
        return (settled_value(outputs.code) - wanted).square()
