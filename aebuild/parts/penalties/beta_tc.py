"""The KL in its three parts, each with a weight."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, Self

from pydantic import model_validator

from aebuild.lang.families import Posterior
from aebuild.lang.lint import Finding, Surroundings, warning
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.terms import AUTOENCODER, Contribution, ModelTypes, Penalty, TermPlan
from aebuild.lang.variational import fixed_prior

if TYPE_CHECKING:
    from torch import nn

BESIDE_KL = warning("AE224", "a decomposed KL beside a KL of another weight", """\
`beta_tc` adds (α − 1), (β − 1) and (γ − 1) times the three parts of the KL to the term `kl`. Only beside a `kl` of weight 1 do the three
parts have the weights α, β and γ.

```yaml
latent: {type: gaussian, dim: 8}
losses: {kl: 4, beta_tc: {beta: 6}}
```
```yaml
latent: {type: gaussian, dim: 8}
losses: {beta_tc: {beta: 6}}
```
""")


class BetaTc(Penalty):
    """Weighs mutual information, total correlation and dimension-wise KL apart (Chen et al., 2018).

    Added to the term `kl` of weight 1 it makes α·MI + β·TC + γ·KL_d, the β-TC-VAE. The parts are estimated from the batch, [N] nats, and
    logged as `mutual_information`, `total_correlation` and `dimension_wise_kl`.
    """

    type: Literal["beta_tc"] = "beta_tc"
    example = ("latent: {type: gaussian, dim: 3}\n"
               "losses: {beta_tc: {alpha: 0.5, beta: 4, gamma: 2, estimator: stratified}}")
    also = ("btcvae", "beta_tcvae", "tc", "tcvae", "total_correlation", "beta_tc_vae")
    across = True
    key = "beta_tc"
    unit = "nats of the KL's parts beyond weight 1"
    alpha: float = knob(1.0, "weight of the mutual information of sample and code", affects="loss", ge=0)
    beta: float = knob(6.0, "weight of the total correlation of the code's values", affects="loss", ge=0)
    gamma: float = knob(1.0, "weight of the KL of each value's own distribution to the prior", affects="loss", ge=0)
    estimator: Literal["weighted", "stratified"] = knob(
        "weighted", "minibatch-weighted (MWS; a constant too low, its gradient is the same for any number of samples), or stratified (MSS)",
        affects="loss")

    @model_validator(mode="after")
    def _does_something(self) -> Self:
        if self.alpha == self.beta == self.gamma == 1:
            raise ValueError("with alpha, beta and gamma of 1 this is the term `kl` itself, so nothing is added")
        return self

    def check(self, types: ModelTypes) -> str | None:
        """Independent Gaussians, a prior that is not learned, and a known number of samples."""
        posterior = getattr(types.latent, "posterior", None)
        if not isinstance(posterior, Posterior) or posterior.form != "diagonal":
            return "it parts the KL of a gaussian latent with a diagonal posterior"
        if (prior := fixed_prior(types.latent)) is None or not prior.density:
            return "it parts the KL to a prior that is not learned"
        return None if types.samples else "it needs to know how many training samples there are, which no header of these data tells"

    def elements(self, types: ModelTypes) -> int:
        """One number for the sample."""
        return 1

    def plan_loss(self, name: str, types: ModelTypes, site: Site) -> Contribution:
        """A prior of its own like the latent's; no weights."""
        prior = fixed_prior(types.latent)
        assert prior is not None, "checked"
        node = Node(site.path, "beta_tc", types.code, types.code, self, {"samples": types.samples}, aside=True,
                    children=(prior.plan_prior(types.code, site.at("prior")).node,))
        return Contribution(node=node, terms=(TermPlan(name, AUTOENCODER, 1, self),))

    def lint(self, node: Node | None, around: Surroundings) -> Iterator[Finding]:
        """The KL's own weight should be 1."""
        if node is None and (weight := around.weights.get("kl", 1.0)) != 1:
            message = f"beside `kl: {weight:g}` the parts of the KL count {weight - 1:+g} more than alpha, beta and gamma say"
            yield BESIDE_KL, message, self, None

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The term's module."""
        from aebuild.modules.priors import Prior as PriorModule
        from aebuild.modules.total_correlation import BetaTc as BetaTcModule

        prior = children["prior"]
        assert isinstance(prior, PriorModule)
        return BetaTcModule((self.alpha, self.beta, self.gamma), node.args["samples"], prior, stratified=self.estimator == "stratified")
