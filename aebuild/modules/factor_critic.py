"""A critic that estimates the total correlation of codes."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aebuild.modules.collectives import gathered, own, whole
from aebuild.modules.critics import by_sample
from aebuild.modules.losses import Loss, LossFunction
from aebuild.modules.outputs import Outputs
from aebuild.modules.randomness import Random


class FactorCritic(Loss, Random):
    """The density-ratio estimate of total correlation (Kim and Mnih, 2018).

    `network` takes codes [N, D] to a logit [N, 1] of being a code rather than one put together of values of different samples. Where
    it knows best, the logit of a code is log q(z) − Σ log q(z_d), whose mean is the total correlation: the term NAME.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def losses(self, name: str) -> dict[str, LossFunction]:
        """The model's term and the critic's own."""
        return {name: self.correlation, f"{name}_discriminator": self.tell_apart}

    def correlation(self, outputs: Outputs) -> Tensor:
        """[N] nats."""
        return by_sample(self.network(outputs.code.value.flatten(1)))

    def tell_apart(self, outputs: Outputs) -> Tensor:
        """Cross-entropy in nats at a code and at a shuffled one, [N]; 2 ln 2 where they look alike."""
        codes = outputs.code.value.detach().flatten(1)
        return by_sample(F.softplus(-self.network(codes))) + by_sample(F.softplus(self.network(self.shuffled(codes))))

    def shuffled(self, codes: Tensor) -> Tensor:
        """Codes [N, D] with each value from a sample of its own: every column of the whole batch in another order."""
        order = torch.rand((whole(len(codes)), codes.shape[1]), generator=self.rng(codes.device), device=codes.device).argsort(0)
        return gathered(codes).gather(0, own(order))
