"""A likelihood of grades, whole numbers that have an order but no distances."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aebuild.modules.inversion import argument_of
from aebuild.modules.likelihoods import Likelihood, per_sample

BEYOND = 1e4          # a threshold that nothing reaches
REACH = 60.0          # the farthest parameter that a mean is sought at


class Ordinal(Likelihood):
    """Nats of a grade 0 to `grades` − 1, whose cumulative logits are thresholds minus the parameter (McCullagh, 1980).

    Thresholds are learned: the same for all elements, or with the `shape` of a sample of their own for each. They begin where a parameter
    of 0 makes all grades as likely. `log_gaps` are the logarithms of what lies between one and the next, so that they keep their order.
    """

    def __init__(self, grades: int, shape: Sequence[int] = ()) -> None:
        super().__init__()
        self.grades = grades
        self.first = nn.Parameter(torch.empty(*shape, 1))
        self.log_gaps = nn.Parameter(torch.empty(*shape, grades - 2))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """All grades are as likely."""
        even = torch.linspace(0, 1, self.grades + 1)[1:-1].logit()
        with torch.no_grad():
            self.first.copy_(even[:1].expand_as(self.first))
            self.log_gaps.copy_(even.diff().log().expand_as(self.log_gaps))

    @property
    def thresholds(self) -> Tensor:
        """[..., grades − 1], rising."""
        return torch.cat([self.first, self.first + self.log_gaps.exp().cumsum(-1)], -1)

    def forward(self, params: Tensor, target: Tensor) -> Tensor:
        """[N]."""
        return per_sample(self.each(params, target))

    def each(self, params: Tensor, target: Tensor) -> Tensor:
        """Like the target; σ(a) − σ(b) = σ(a)·σ(−b)·(1 − e^(b−a))."""
        edges = F.pad(F.pad(self.thresholds, (1, 0), value=-BEYOND), (0, 1), value=BEYOND)            # (..., grades + 1)
        edges = edges.expand(*target.shape, self.grades + 1)
        grade = target.long().unsqueeze(-1)
        lower, upper = (edges.gather(-1, grade + step).squeeze(-1) for step in (0, 1))
        return -(F.logsigmoid(upper - params) + F.logsigmoid(params - lower) + (-torch.expm1(lower - upper)).log())

    def mean(self, params: Tensor) -> Tensor:
        """The expected grade."""
        return (params.unsqueeze(-1) - self.thresholds).sigmoid().sum(-1)

    def params_of(self, mean: Tensor) -> Tensor:
        """The parameter with that expected grade."""
        return argument_of(mean, self.mean, -REACH, REACH)
