"""What all latents share: the projection to the code, the prior, and the protocol of encode, draw and losses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from aebuild.modules.code import Code
from aebuild.modules.losses import LossFunction
from aebuild.modules.outputs import Outputs
from aebuild.modules.priors import Prior
from aebuild.modules.randomness import Random
from aebuild.modules.stage import taken


class Latent(Random):
    """The code between the halves.

    `steps` take the encoder's output to the code (adapters, projection, activation), each under its own name; `prior` is the
    distribution that new codes are drawn from. What a prior learns from the codes of the training data it learns by `prior.fit`,
    or from the term `prior` in a phase of its own.
    """

    follows = False          # a draw needs `surprise` in the context: codes [M, ...] to nats of the samples given these, [M]

    def __init__(self, steps: Mapping[str, nn.Module], prior: Prior) -> None:
        super().__init__()
        for name, step in steps.items():
            self.add_module(name, step)
        self.order = tuple(steps)
        self.prior = prior

    def meet(self, decoder: nn.Module) -> None:  # few need it
        """Called once with the model's decoder, for a latent that shares weights with it."""

    @property
    def device(self) -> torch.device:
        """Where the latent's weights are."""
        return next(self.parameters()).device

    def project(self, h: Tensor, context: dict[str, Any] | None = None) -> Tensor:
        """The encoder's output, [N, ...], through the steps."""
        for name in self.order:
            h = taken(self.get_submodule(name), h, {} if context is None else context)
        return h

    def forward(self, h: Tensor, context: dict[str, Any] | None = None, draws: int | None = None) -> Code:
        """The code of the encoder's output; with `draws` so many of each sample, one after the other, where it is random."""
        raise TypeError(f"{type(self).__name__} has no forward")

    def draw(self, n: int, context: dict[str, Any] | None = None) -> Tensor:
        """`n` codes from the prior, on the latent's device; of the samples that the context tells of, where it depends on them."""
        return self.prior.given({} if context is None else context).draw(n, self.device)

    def settled(self, value: Tensor) -> Tensor:
        """Points between codes as codes; the same where these may lie anywhere."""
        return value

    def losses(self) -> dict[str, LossFunction]:
        """The terms besides those that `forward` gives."""
        return {"prior": self.surprise}

    def surprise(self, outputs: Outputs) -> Tensor:
        """Nats of the prior's surprise at the codes, which a prior that is learned in a phase of its own minimises."""
        return self.prior.given(outputs.context).surprise(self.codes_of(outputs.code))

    def codes_of(self, code: Code) -> Tensor:
        """What the prior is a distribution of, without a gradient: the code's values, or the indices of a discrete one."""
        return code.value.detach()

    def code_from(self, codes: Tensor) -> Code:
        """The code of what `codes_of` gave."""
        return Code(codes)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        old = f"{prefix}prior_"                  # where priors stood before they were modules of their own
        for name in self.prior.state_dict():
            if f"{old}{name}" in state_dict:
                state_dict[f"{prefix}prior.{name}"] = state_dict.pop(f"{old}{name}")
        super()._load_from_state_dict(state_dict, prefix, *args)
