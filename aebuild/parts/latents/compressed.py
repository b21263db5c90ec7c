"""A code that is rounded, and whose bits are counted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from aebuild.lang.families import LatentPlan, Prior, ProjectedLatent
from aebuild.lang.lint import Finding, Surroundings, warning
from aebuild.lang.node import Node, Site
from aebuild.lang.projection import to_code
from aebuild.lang.terms import AUTOENCODER, Term, TermPlan
from aebuild.lang.values import Value, elements

if TYPE_CHECKING:
    from torch import nn

NO_TRADE = warning("AE231", "a rate that weighs as much as the error", """\
The loss of a compressed code is distortion + λ · rate, with the rate in nats. What λ should be depends on the data and on how good the
reconstructions must be; without a weight it is 1, which for squared errors of values in [0, 1] leaves nothing of the code.

```yaml
data: digits
encoder: [linear: 32]
latent: {type: compressed, dim: 8}
losses: {reconstruction: mse}
```
```yaml
losses: {rate: 0.01}
```
""")


class RateTerm(Term):
    """Nats that the code of a sample costs, by the learned distribution of the rounded values."""

    example = ("latent: {type: compressed, dim: 3}\n"
               "losses: {rate: 0.1}")
    also = ("bpp", "bits", "rate_loss", "lmbda")


def _factorised() -> Any:
    return Prior.named("factorised")


class Compressed(ProjectedLatent):
    """A code of rounded numbers, written with as many bits as a learned distribution says (Ballé, Laparra and Simoncelli, 2017).

    While training uniform noise of the width of a step stands for the rounding. The term `rate` is what a sample costs in nats;
    `aebuild encode --bits` writes it.
    """

    type: Literal["compressed"] = "compressed"
    example = ("latent: {type: compressed, dim: 3}\n"
               "losses: {rate: 0.1}")
    also = ("compression", "entropy_coded", "compressai", "neural_compression", "rounded", "quantised", "balle")
    prior: Prior = Field(default_factory=_factorised, description="the distribution of the rounded values: factorised, or a hyperprior")
    terms = {"rate": RateTerm}
    meanings = {"rate": "nats that the code of a sample costs; lower is better"}

    def lint(self, node: Node | None, around: Surroundings) -> Iterator[Finding]:
        """The trade must be chosen."""
        if around.weights.get("rate") == 1.0 and around.info.target_range.low is not None:
            yield NO_TRADE, "the rate, in nats, weighs as much as the error", self, "losses: {rate: 0.01}"

    def plan_latent(self, value: Value, site: Site) -> LatentPlan:
        """Adapters, projection and the prior."""
        steps = to_code(self, value, site, self.dim)
        code = steps[-1].output
        size = elements(code)
        node = Node(site.path, "compressed", value, code, self, children=steps)
        plan = LatentPlan(node=node, code=code, values=size, bits=32.0 * size, codes=code,
                          terms=(TermPlan("rate", AUTOENCODER, size, RateTerm()),))
        return plan.joined(self.prior.serve(self, code, site, ("joint",), coded=True))

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The latent."""
        from aebuild.modules.latent_compressed import CompressedLatent
        from aebuild.modules.priors import Prior as PriorModule

        prior = children.pop("prior")
        assert isinstance(prior, PriorModule)
        return CompressedLatent(children, prior)
