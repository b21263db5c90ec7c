"""A code that a discriminator pushes towards a prior."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from aebuild.modules.code import Code
from aebuild.modules.critics import non_saturating
from aebuild.modules.latent import Latent
from aebuild.modules.losses import LossFunction
from aebuild.modules.outputs import Outputs
from aebuild.modules.priors import CategoricalPrior, JoinedPrior, Prior
from aebuild.modules.stage import taken


class AdversarialLatent(Latent):
    """An adversarial autoencoder's code, [N, D] (Makhzani et al., 2015).

    A discriminator gives a logit for each code, [N, 1], that says how likely it is a draw from the prior. With `simplex` the code
    is a softmax, to be pushed to one-hot vectors. The last `categories` values of a code are a softmax too, with a discriminator
    of their own.
    """

    def __init__(self, steps: Mapping[str, nn.Module], prior: Prior, discriminator: nn.Module,
                 categorical_discriminator: nn.Module | None = None, *, simplex: bool = False, categories: int = 0) -> None:
        super().__init__(steps, JoinedPrior([prior, CategoricalPrior((categories,))]) if categories else prior)
        self.discriminator = discriminator
        if categorical_discriminator is not None:
            self.categorical_discriminator = categorical_discriminator
        self.simplex, self.categories = simplex, categories

    def project(self, h: Tensor, context: dict[str, Any] | None = None) -> Tensor:
        """The encoder's output to the code."""
        code, categories = self.parts(super().project(h, context))
        code = code.softmax(1) if self.simplex else code
        return torch.cat([code, categories.softmax(1)], 1) if self.categories else code

    def parts(self, code: Tensor) -> tuple[Tensor, Tensor]:
        """The values that the prior is about, and the categories, [N, 0] if there are none."""
        first, last = code.tensor_split([code.shape[1] - self.categories], 1)
        return first, last

    def forward(self, h: Tensor, context: dict[str, Any] | None = None, draws: int | None = None) -> Code:
        """The code; its terms belong to other players."""
        return Code(self.project(h, context))

    def losses(self) -> dict[str, LossFunction]:
        """Of each discriminator the generator's term and its own; [N] nats each.

        At the optimum codes and draws look alike and the discriminator's term is 2 ln 2.
        """
        found = {**super().losses(), "adversarial": self.fool, "discriminator": self.tell_apart}
        if self.categories:
            found |= {"categorical_adversarial": self.fool_categories, "categorical_discriminator": self.tell_categories_apart}
        return found

    def fool(self, outputs: Outputs) -> Tensor:
        """How sure the discriminator is that codes are none of the prior's draws (non-saturating)."""
        return non_saturating(taken(self.discriminator, self.parts(outputs.code.value)[0], outputs.context), real=True)

    def tell_apart(self, outputs: Outputs) -> Tensor:
        """How badly the discriminator tells codes from draws of the prior."""
        return self._told_apart(self.discriminator, 0, outputs)

    def fool_categories(self, outputs: Outputs) -> Tensor:
        """The same as `fool`, of the categories."""
        return non_saturating(taken(self.categorical_discriminator, self.parts(outputs.code.value)[1], outputs.context), real=True)

    def tell_categories_apart(self, outputs: Outputs) -> Tensor:
        """The same as `tell_apart`, of the categories."""
        return self._told_apart(self.categorical_discriminator, 1, outputs)

    def _told_apart(self, judge: nn.Module, part: int, outputs: Outputs) -> Tensor:
        code, known = outputs.code.value.detach(), outputs.context
        drawn = self.prior.given(known).draw(len(code), code.device)
        verdicts = [taken(judge, self.parts(each)[part], known) for each in (drawn, code)]
        return non_saturating(verdicts[0], real=True) + non_saturating(verdicts[1], real=False)
