"""The Adam optimiser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from aebuild.lang.part import knob
from aebuild.lang.schedule import numbers
from aebuild.lang.training import Optimizer

if TYPE_CHECKING:
    import torch
    from torch import nn

Beta = Annotated[float, Field(ge=0, lt=1)]


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2014)."""

    type: Literal["adam"] = "adam"
    example = "train: {steps: 6, batch_size: 10, optimizer: {type: adam, lr: 0.01, betas: [0.8, 0.9], eps: 1.0e-4, weight_decay: 0.1}}"
    betas: Annotated[list[Beta], Field(min_length=2, max_length=2)] = knob(
        [0.9, 0.999], "decay of the running averages of the gradient and of its square", affects="training")
    eps: float = knob(1e-8, "added to the denominator", affects="training", gt=0)
    weight_decay: float = knob(0.0, "L2 penalty, added to the gradient", affects="training", ge=0)
    amsgrad: bool = knob(False, "divide by the largest average so far (Reddi et al., 2018)", affects="training")

    def build_optimizer(self, params: Sequence[nn.Parameter]) -> torch.optim.Optimizer:
        """The torch.optim object, at the learning rate of step 0."""
        from torch.optim import Adam as TorchAdam

        return TorchAdam(params, numbers(self.lr)[0], (self.betas[0], self.betas[1]), self.eps, self.weight_decay, self.amsgrad,
                         fused=True)
