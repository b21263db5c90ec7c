"""A code that a discriminator pushes towards a prior."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from aebuild.modules.code import Code
from aebuild.modules.critics import non_saturating
from aebuild.modules.latent import Latent
from aebuild.modules.losses import LossFunction
from aebuild.modules.outputs import Outputs
from aebuild.modules.priors import Prior
from aebuild.modules.stage import taken


class AdversarialLatent(Latent):
    """An adversarial autoencoder's code, [N, D] (Makhzani et al., 2015).

    `discriminator` gives a logit for each code, [N, 1], that says how likely it is a draw from the prior. With `simplex` the code
    is a softmax, to be pushed to one-hot vectors.
    """

    def __init__(self, steps: Mapping[str, nn.Module], prior: Prior, discriminator: nn.Module, simplex: bool) -> None:
        super().__init__(steps, prior)
        self.discriminator = discriminator
        self.simplex = simplex

    def project(self, h: Tensor, context: dict[str, Any] | None = None) -> Tensor:
        """The encoder's output to the code."""
        code = super().project(h, context)
        return code.softmax(1) if self.simplex else code

    def forward(self, h: Tensor, context: dict[str, Any] | None = None, draws: int | None = None) -> Code:
        """The code; its terms belong to other players."""
        return Code(self.project(h, context))

    def losses(self) -> dict[str, LossFunction]:
        """The generator's term and the discriminator's; [N] nats each.

        At the optimum codes and draws look alike and the discriminator's term is 2 ln 2.
        """
        return {**super().losses(), "adversarial": self.fool, "discriminator": self.tell_apart}

    def fool(self, outputs: Outputs) -> Tensor:
        """How sure the discriminator is that codes are none of the prior's draws (non-saturating)."""
        return non_saturating(taken(self.discriminator, outputs.code.value, outputs.context), real=True)

    def tell_apart(self, outputs: Outputs) -> Tensor:
        """How badly the discriminator tells codes from draws of the prior."""
        code, known = outputs.code.value.detach(), outputs.context
        drawn = self.prior.given(known).draw(len(code), code.device)
        verdicts = [taken(self.discriminator, each, known) for each in (drawn, code)]
        return non_saturating(verdicts[0], real=True) + non_saturating(verdicts[1], real=False)
