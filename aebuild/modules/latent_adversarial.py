"""A code that a discriminator pushes towards a prior."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn import functional as F

from aebuild.modules.code import Code
from aebuild.modules.latent import Latent


class AdversarialLatent(Latent):
    """An adversarial autoencoder's code, [N, D] (Makhzani et al., 2015).

    `prior` has `draw(n, device) -> [n, D]`, `discriminator` gives a logit for each code, [N, 1], that says how likely it is a
    draw from the prior. With `simplex` the code is a softmax, to be pushed to one-hot vectors.
    """

    def __init__(self, steps: Mapping[str, nn.Module], prior: nn.Module, discriminator: nn.Module, simplex: bool) -> None:
        super().__init__(steps)
        self.prior = prior
        self.discriminator = discriminator
        self.simplex = simplex

    def project(self, h: Tensor) -> Tensor:
        """The encoder's output to the code."""
        code = super().project(h)
        return code.softmax(1) if self.simplex else code

    def forward(self, h: Tensor) -> Code:
        """The code; its terms belong to the other players."""
        return Code(self.project(h))

    def draw(self, n: int) -> Tensor:
        """`n` codes from the prior."""
        drawn: Tensor = self.prior.draw(n, self.device)  # type: ignore[operator]
        return drawn

    def play(self, player: str, h: Tensor) -> dict[str, Tensor]:
        """The generator fools the discriminator (non-saturating); the discriminator tells codes from draws; [N] nats each.

        At the optimum both kinds of codes look alike and the discriminator's term is 2 ln 2.
        """
        code = self.project(h)
        if player == "generator":
            return {"adversarial": F.softplus(-self.discriminator(code)).squeeze(1)}
        if player == "discriminator":
            real = self.discriminator(self.draw(len(code)))
            fake = self.discriminator(code.detach())
            return {"discriminator": (F.softplus(-real) + F.softplus(fake)).squeeze(1)}
        return super().play(player, h)
