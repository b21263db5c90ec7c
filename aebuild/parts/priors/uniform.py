"""A uniform prior."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from aebuild.lang.diagnostics import Rule
from aebuild.lang.families import Prior
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.prior import Support
from aebuild.lang.terms import Contribution
from aebuild.lang.values import Tokens, Value

if TYPE_CHECKING:
    from torch import nn

INTERVAL = Rule("AE343", "a uniform prior on nothing", """\
A uniform prior lies between `low` and `high`, so `low` must be the smaller one.

```yaml
latent: {type: adversarial, dim: 2, prior: {type: uniform, low: 1, high: 1}}
```
```yaml
latent: {type: adversarial, dim: 2, prior: {type: uniform, low: -1, high: 1}}
```
""")


INDICES = Rule("AE350", "bounds of a uniform prior over indices", """\
Over the indices of a codebook a uniform prior makes every entry equally likely, as over the points of a sphere, over bits or categories;
there is nothing for `low` and `high` to bound.

```yaml
latent: {type: codebook, codes: 64, dim: 8, prior: {type: uniform, low: 0, high: 1}}
```
```yaml
latent: {type: codebook, codes: 64, dim: 8, prior: uniform}
```
""")


class Uniform(Prior):
    """Uniform between two bounds in every dimension; of codes that are entries, bits, categories or points of a sphere all alike."""

    type: Literal["uniform"] = "uniform"
    example = "latent: {type: adversarial, dim: 2, prior: {type: uniform, low: -1, high: 2}, discriminator: {layer: linear, width: [4, 3]}}"
    serves = ("code", "tokens", "sphere", "bits", "one_hot")
    low: float = knob(-1.0, "lower bound", affects="training")
    high: float = knob(1.0, "upper bound", affects="training")

    def plan_prior(self, codes: Value, site: Site) -> Contribution:
        """Any code; the bounds must be in order, and mean something."""
        if isinstance(codes, Tokens):
            self._require_no_bounds(site, "indices")
        if self.low >= self.high:
            site.refuse(self, INTERVAL, f"low, {self.low:g}, must be smaller than high, {self.high:g}", "low", "high")
        return super().plan_prior(codes, site)

    def plan_on(self, support: Support, options: Mapping[str, Any], codes: Value, site: Site) -> Contribution:
        """Everything alike; without bounds."""
        self._require_no_bounds(site, {"sphere": "points of a sphere", "one_hot": "categories"}.get(support, support))
        return super().plan_on(support, options, codes, site)

    def _require_no_bounds(self, site: Site, what: str) -> None:
        for name in ("low", "high"):
            if name in self._origin.fields:
                site.refuse(self, INDICES, f"`{name}` bounds nothing: the code is made of {what}", name, fix=f"remove {name}")

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The prior's module."""
        from aebuild.modules.priors import UniformIndices, UniformPrior
        from aebuild.modules.relaxed import BernoulliPrior, UniformCategories
        from aebuild.modules.sphere import UniformSphere

        if isinstance(node.output, Tokens):
            return UniformIndices(node.output.length, node.output.classes)
        shape, axis = node.output.shape, node.output.feature_axis
        match node.args.get("support"):
            case "sphere":
                return UniformSphere(shape, axis)
            case "bits":
                return BernoulliPrior(shape, 0.5)
            case "one_hot":
                return UniformCategories(shape, axis, node.args["classes"])
        return UniformPrior(node.output.shape, self.low, self.high)
