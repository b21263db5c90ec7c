"""A deterministic code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from aebuild.lang.diagnostics import Rule
from aebuild.lang.families import Activation, LatentPlan, Prior, ProjectedLatent
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.prior import Support
from aebuild.lang.projection import to_code
from aebuild.lang.values import Value, elements

if TYPE_CHECKING:
    from torch import nn


POINTS = Rule("AE856", "a sphere of two points", """\
`sphere: true` divides the code by its length. Of a single value only the sign is left, through which no gradient passes.

```yaml
latent: {type: continuous, dim: 1, sphere: true}
```
```yaml
latent: {type: continuous, dim: 2, sphere: true}
```
""")


def _fitted() -> Any:
    return Prior.named("fitted")


class Continuous(ProjectedLatent):
    """A deterministic code of real numbers, as in a classical autoencoder.

    Nothing pulls it to a prior: one is fitted to the codes of the training data, or learned from them, so that it can be sampled. With
    `sphere` codes are divided by their length, as in a spherical autoencoder (Zhao et al., 2019), and so are draws of the prior, which may
    then be `uniform` too.
    """

    type: Literal["continuous"] = "continuous"
    example = ("latent: {type: continuous, dim: 4, activation: sigmoid}\n"
               "---\n"
               "latent: {type: continuous, dim: 3, sphere: true, prior: uniform}")
    also = ("ae", "deterministic", "autoencoder", "plain", "vector", "bottleneck", "vanilla")
    activation: Activation | None = knob(None, "nonlinearity on the code; sigmoid keeps it in (0, 1)", affects="graph")
    sphere: bool = knob(False, "project the code to the unit sphere, at each place", affects="graph")
    prior: Prior = Field(default_factory=_fitted, description="how new codes are drawn: fitted, from a Gaussian fitted to the training "
                         "data's; or learned; or uniform, on a sphere")

    @property
    def learns(self) -> tuple[str, ...]:  # type: ignore[override]
        """A prior that stays as it is has something to do with codes on the sphere alone."""
        return ("none",) if self.support == "sphere" else ("fitted", "phase")

    @property
    def support(self) -> Support:  # type: ignore[override]
        """The sphere, for priors that know it; draws of others are brought there."""
        return "sphere" if self.sphere and "sphere" in self.prior.serves else "code"

    def plan_latent(self, value: Value, site: Site) -> LatentPlan:
        """Adapters, projection, activation and the prior."""
        if self.sphere and self.dim < 2:
            site.refuse(self, POINTS, "a sphere of one value has two points", "dim", fix="dim: 2")
        steps = to_code(self, value, site, self.dim, self.activation)
        if self.activation is not None:
            steps += (self.activation.plan(steps[-1].output, site.at("activation")),)
        code = steps[-1].output
        size = elements(code)
        node = Node(site.path, "continuous", value, code, self, children=steps)
        plan = LatentPlan(node=node, code=code, values=size, bits=32.0 * size, codes=code)
        return plan.joined(self.prior.serve(self, code, site, self.learns))

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The latent."""
        from aebuild.modules.latent_continuous import ContinuousLatent
        from aebuild.modules.priors import Prior as PriorModule

        prior = children.pop("prior")
        assert isinstance(prior, PriorModule)
        return ContinuousLatent(children, prior, node.output.feature_axis if self.sphere else None)
