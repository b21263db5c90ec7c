"""Critics: networks that learn to tell what a model makes from what it should make."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aebuild.modules.collectives import total
from aebuild.modules.losses import Loss, LossFunction
from aebuild.modules.outputs import Outputs
from aebuild.modules.priors import Prior
from aebuild.modules.stage import taken

SMALL = 1e-4          # added to the critic's gradient, and the largest adaptive weight is its inverse (Esser et al., 2021)


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
            drawn: Tensor = self.prior.given(outputs.context).draw(len(outputs.code.value), outputs.code.value.device)
            return drawn
        if self.reads == "output":
            return outputs.target
        return torch.cat([outputs.target.flatten(1), outputs.code.value.flatten(1)], 1)

    def fool(self, outputs: Outputs) -> Tensor:
        """[N]."""
        verdict = taken(self.network, self.made(outputs), outputs.context)
        term = -by_sample(verdict) if self.form == "hinge" else JUDGED[self.form](verdict, real=True)
        scale = self._scale(term, outputs) if self.adaptive and self.gate else 1.0
        return term * (self.gate * scale)

    def tell_apart(self, outputs: Outputs) -> Tensor:
        """[N]."""
        judged, wanted, made = JUDGED[self.form], self.wanted(outputs).detach(), self.made(outputs).detach()
        verdicts = [taken(self.network, each, outputs.context) for each in (wanted, made)]
        return judged(verdicts[0], real=True) + judged(verdicts[1], real=False)

    def _scale(self, term: Tensor, outputs: Outputs) -> Tensor | float:
        """The ratio of both terms' gradients at the decoder's output; 1 where nothing has a gradient."""
        params, reconstruction = outputs.params, outputs.terms.get("reconstruction")
        if params is None or reconstruction is None or not params.requires_grad:
            return 1.0
        ours, = torch.autograd.grad(reconstruction.sum(), params, retain_graph=True)
        theirs, = torch.autograd.grad(term.sum(), params, retain_graph=True)
        norms = [total(gradient.square().sum()).sqrt() for gradient in (ours, theirs)]
        return (norms[0] / (norms[1] + SMALL)).clamp(max=1 / SMALL).detach()
