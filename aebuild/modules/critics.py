"""Critics: networks that learn to tell what a model makes from what it should make."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aebuild.modules.balance import gradient_ratio
from aebuild.modules.losses import Loss, LossFunction
from aebuild.modules.outputs import Outputs
from aebuild.modules.priors import Prior


def by_sample(verdict: Tensor) -> Tensor:
    """Verdicts [N, ...], one or one for each patch, as their mean, [N]."""
    return verdict.flatten(1).mean(1)


def non_saturating(logits: Tensor, *, real: bool) -> Tensor:
    """Cross-entropy in nats of logits [N, ...] (Goodfellow et al., 2014), [N]."""
    return by_sample(F.softplus(-logits if real else logits))


def hinge(scores: Tensor, *, real: bool) -> Tensor:
    """The hinge of scores [N, ...] (Lim and Ye, 2017), [N]."""
    return by_sample(F.relu(1 - scores if real else 1 + scores))


def least_squares(scores: Tensor, *, real: bool) -> Tensor:
    """Squared distance of scores [N, ...] to 1 or 0 (Mao et al., 2017), [N]."""
    return by_sample((scores - 1 if real else scores).square())


JUDGED: dict[str, Callable[..., Tensor]] = {"non_saturating": non_saturating, "hinge": hinge, "least_squares": least_squares}


class Critic(Loss):
    """A critic of reconstructions, of codes, or of both.

    `network` takes what it `reads` to verdicts [N, ...]. Its own term, `NAME_discriminator`, is smallest where it tells the target
    from the reconstruction (or draws of the prior from codes); the term NAME is smallest where it cannot. That one counts nothing
    while `gate` is 0, and with `adaptive` as much as the reconstruction (Esser et al., 2021): it is scaled by the ratio of the two
    terms' gradients at the decoder's output.
    """

    def __init__(self, network: nn.Module, reads: str, form: str, *, adaptive: bool, prior: Prior | None = None) -> None:
        super().__init__()
        self.network = network
        self.reads, self.form, self.adaptive = reads, form, adaptive
        self.gate = 1.0
        self.prior = prior

    def losses(self, name: str) -> dict[str, LossFunction]:
        """The model's term and the critic's own."""
        return {name: self.fool, f"{name}_discriminator": self.tell_apart}

    def made(self, outputs: Outputs) -> Tensor:
        """What the model made, as the network reads it."""
        if self.reads == "code":
            return outputs.code.value
        if self.reads == "output":
            return outputs.reconstruction
        return torch.cat([outputs.reconstruction.flatten(1), outputs.code.value.flatten(1)], 1)

    def wanted(self, outputs: Outputs) -> Tensor:
        """What it should have made."""
        if self.reads == "code":
            assert self.prior is not None, "a critic of codes knows what they should be"
            drawn: Tensor = self.prior.draw(len(outputs.code.value), outputs.code.value.device)
            return drawn
        if self.reads == "output":
            return outputs.target
        return torch.cat([outputs.target.flatten(1), outputs.code.value.flatten(1)], 1)

    def fool(self, outputs: Outputs) -> Tensor:
        """[N]."""
        verdict = self.network(self.made(outputs))
        term = -by_sample(verdict) if self.form == "hinge" else JUDGED[self.form](verdict, real=True)
        scale = gradient_ratio(term, outputs) if self.adaptive and self.gate else 1.0
        return term * (self.gate * scale)

    def tell_apart(self, outputs: Outputs) -> Tensor:
        """[N]."""
        judged, wanted, made = JUDGED[self.form], self.wanted(outputs).detach(), self.made(outputs).detach()
        return judged(self.network(wanted), real=True) + judged(self.network(made), real=False)
