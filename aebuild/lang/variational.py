"""What variational latents share: the `kl` term, and the plan of posterior and prior."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import model_validator

from aebuild.lang.families import LatentPlan, ProjectedLatent
from aebuild.lang.node import Node, Site
from aebuild.lang.part import Part, knob
from aebuild.lang.prior import PULLING, Prior
from aebuild.lang.projection import to_code
from aebuild.lang.schedule import Dial, numbers
from aebuild.lang.terms import AUTOENCODER, Contribution, Term, TermPlan
from aebuild.lang.values import Value, elements

if TYPE_CHECKING:
    from torch import Tensor


class KlTerm(Term):
    """The KL divergence of the posterior to the prior, in nats; a weight above 1 is a β-VAE (Higgins et al., 2017)."""

    example = ("latent: {type: gaussian, dim: 3}\n"
               "losses: {kl: {weight: 0.5, free_bits: 0.05}}\n"
               "---\n"
               "latent: {type: gaussian, dim: 3}\n"
               "losses: {kl: {weight: 3, capacity: {from: 0, to: 2, over: 3 steps}}}")
    also = ("beta", "kl_weight", "kld", "kl_loss", "kl_divergence", "kl_beta")

    free_bits: float = knob(
        0.0, "nats of each value of the code, on average over the batch, below which the KL counts as this (Kingma et al., 2016)",
        affects="loss", ge=0)
    capacity: Dial | None = knob(
        None, "nats C of a sample's whole code: the term becomes |KL − C| of each sample; a number or a schedule (Burgess et al., 2018)",
        affects="loss")

    @model_validator(mode="after")
    def _one_goal(self) -> Self:
        if self.capacity is not None and self.free_bits:
            raise ValueError("`free_bits` and `capacity` both say how many nats the KL shall have; write one of them")
        if self.capacity is not None and min(numbers(self.capacity)) < 0:
            raise ValueError("a capacity is a number of nats, 0 or more")
        return self

    @property
    def pools(self) -> bool:
        """Free bits hold the mean over the whole batch."""
        return self.free_bits > 0 and self.capacity is None

    def settled(self, value: Callable[[Dial], float]) -> Self:
        """With the capacity of that moment."""
        return self if self.capacity is None else self.but(capacity=value(self.capacity))

    def reduce(self, raw: Tensor, elements: int) -> Tensor:
        """A scalar from [N, ...]: each value of the code averaged over the batch, held at `free_bits`, then summed.

        Where the posterior or the prior ties the values together there is one number a sample, [N], which is held at all their bits.
        With `capacity` it is the distance of each sample's nats to it, averaged over the batch.
        """
        if self.capacity is not None:
            nats = raw.flatten(1).sum(1) if raw.ndim > 1 else raw
            total = (nats - numbers(self.capacity)[-1]).abs().mean()
        elif self.free_bits == 0:
            return super().reduce(raw, elements)
        else:
            floor = self.free_bits * (elements if raw.ndim == 1 else 1)         # one number a sample stands for all values together
            total = raw.mean(0).clamp(min=floor).sum()
        return total / elements if self.reduction == "mean" else total


class VariationalLatent(ProjectedLatent):
    """A code that is a draw from a posterior of each sample, which its term `kl` pulls to a prior.

    Its module is a `modules.latent_gaussian.GaussianLatent`, made of the projection, a posterior and a prior.
    """

    learns: ClassVar[tuple[str, ...]] = PULLING
    terms = {"kl": KlTerm}
    meanings = {"kl": "nats that the code tells of its sample; lower is a looser code, near 0 it tells nothing",
                "active_units": "values of the code that vary with the data, averaged over batches; 0 is a collapsed code"}

    pathwise: ClassVar[bool] = True           # a gradient passes single draws

    def plan_variational(self, value: Value, site: Site, features: int, code_features: int, posterior: Callable[[Value], Contribution],
                         prior: Prior) -> LatentPlan:
        """Adapters, a projection to `features` numbers of the posterior, a code of `code_features` at the same places, and the prior."""
        steps = to_code(self, value, site, features)
        code = steps[-1].output.with_features(code_features)
        size = elements(code)
        node = Node(site.path, str(self.variant_name()), value, code, self, children=steps)
        plan = LatentPlan(node=node, code=code, values=size, bits=32.0 * size, codes=code,
                          terms=(TermPlan("kl", AUTOENCODER, size, KlTerm(), self.pathwise),))
        return plan.joined(posterior(code), prior.serve(self, code, site, self.learns, density=True))


def fixed_prior(latent: Part) -> Prior | None:
    """The latent's prior where it is written and not learned, so that a loss may have one of its own like it."""
    prior = getattr(latent, "prior", None)
    return prior if isinstance(prior, Prior) and prior.learning == "none" else None
