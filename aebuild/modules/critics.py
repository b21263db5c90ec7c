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
from aebuild.modules.randomness import Random
from aebuild.modules.spectral_norm import normalise
from aebuild.modules.stage import taken

SMOOTHING = 1e-12          # keeps the norm of a gradient smooth at zero


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


def wasserstein(scores: Tensor, *, real: bool) -> Tensor:
    """Scores [N, ...] themselves: high for what is real (Arjovsky et al., 2017), [N]."""
    return by_sample(-scores if real else scores)


JUDGED: dict[str, Callable[..., Tensor]] = {"non_saturating": non_saturating, "hinge": hinge, "least_squares": least_squares,
                                            "wasserstein": wasserstein}


def fooled(scores: Tensor, form: str) -> Tensor:
    """What who made something minimises, of its scores [N, ...], [N]."""
    return by_sample(-scores) if form == "hinge" else JUDGED[form](scores, real=True)


class Critic(Random, Loss):
    """A critic of reconstructions, of codes, or of both, or of reconstructions beside what they were made of.

    `network` takes what it `reads` to verdicts [N, ...]. Its own term, `NAME_discriminator`, is smallest where it tells the target
    from the reconstruction (or draws of the prior from codes); the term NAME is smallest where it cannot. That one counts nothing
    while `gate` is 0, and with `adaptive` as much as the reconstruction (Esser et al., 2021): it is scaled by the ratio of the two
    terms' gradients at the decoder's output. Pairs are stacked along `axis`. `r1` and `gradient_penalty` are weights of what holds the
    critic's slope.
    """

    def __init__(self, network: nn.Module, reads: str, form: str, *, adaptive: bool = False, prior: Prior | None = None,
                 spectral_norm: bool = False, r1: float | None = None, gradient_penalty: float | None = None, axis: int = 1) -> None:
        super().__init__()
        self.network, self.axis = network, axis
        if spectral_norm:
            normalise(network)
        self.reads, self.form, self.adaptive = reads, form, adaptive
        self.gate = 1.0
        self.prior = prior
        self.r1, self.gradient_penalty = r1, gradient_penalty
        self.one_unit = r1 is not None or gradient_penalty is not None          # slopes are taken inside of a pass

    def losses(self, name: str) -> dict[str, LossFunction]:
        """The model's term and the critic's own."""
        return {name: self.fool, f"{name}_discriminator": self.tell_apart}

    def made(self, outputs: Outputs) -> Tensor:
        """What the model made, as the network reads it."""
        if self.reads == "code":
            return outputs.code.value
        if self.reads == "output":
            return outputs.reconstruction
        if self.reads == "pair":
            return torch.cat([outputs.reconstruction, outputs.context["given"]], self.axis)
        return torch.cat([outputs.reconstruction.flatten(1), outputs.code.value.flatten(1)], 1)

    def wanted(self, outputs: Outputs) -> Tensor:
        """What it should have made."""
        if self.reads == "code":
            assert self.prior is not None, "a critic of codes knows what they should be"
            drawn: Tensor = self.prior.given(outputs.context).draw(len(outputs.code.value), outputs.code.value.device)
            return drawn
        if self.reads == "output":
            return outputs.target
        if self.reads == "pair":
            return torch.cat([outputs.target, outputs.context["given"]], self.axis)
        return torch.cat([outputs.target.flatten(1), outputs.code.value.flatten(1)], 1)

    def fool(self, outputs: Outputs) -> Tensor:
        """[N]."""
        term = fooled(self.verdict(self.made(outputs), outputs), self.form)
        return self.weighed(term, outputs.params, outputs)

    def verdict(self, x: Tensor, outputs: Outputs) -> Tensor:
        """What the network says of x, [N, ...], and of the conditions that it is told."""
        return taken(self.network, x, outputs.context)

    def tell_apart(self, outputs: Outputs) -> Tensor:
        """[N]."""
        judged, wanted, made = JUDGED[self.form], self.wanted(outputs).detach(), self.made(outputs).detach()
        term = judged(self.verdict(wanted, outputs), real=True) + judged(self.verdict(made, outputs), real=False)
        return term + self.slopes(wanted, made, outputs)

    def slopes(self, wanted: Tensor, made: Tensor, outputs: Outputs) -> Tensor | float:
        """What is added for the critic's slope, [N]."""

        def verdict(x: Tensor) -> Tensor:
            return self.verdict(x, outputs)

        term: Tensor | float = 0.0
        if self.r1 is not None:
            term = self.r1 / 2 * squared_slope(verdict, wanted)
        if self.gradient_penalty is not None:
            share = self.drawn(torch.rand, (len(made), 1), made.device, dtype=made.dtype).view(-1, *(1,) * (made.ndim - 1))
            between = torch.lerp(made, wanted, share)
            term = term + self.gradient_penalty * ((squared_slope(verdict, between) + SMOOTHING).sqrt() - 1).square()
        return term

    def weighed(self, term: Tensor, params: Tensor | None, outputs: Outputs) -> Tensor:
        """The model's term as it counts now; `params` is the decoder's output that it judges."""
        scale = gradient_ratio(term, params, outputs) if self.adaptive and self.gate else 1.0
        return term * (self.gate * scale)


def squared_slope(verdict: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The squared norm of the gradient of each sample's verdict at x [N, ...], itself with a gradient, [N]."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        gradient, = torch.autograd.grad(by_sample(verdict(x)).sum(), x, create_graph=True)
        return gradient.flatten(1).square().sum(1)
