"""A uniform prior."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.diagnostics import Rule
from aebuild.lang.families import Prior
from aebuild.lang.node import Site
from aebuild.lang.part import knob

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


class Uniform(Prior):
    """Uniform between two bounds in every dimension."""

    type: Literal["uniform"] = "uniform"
    example = "latent: {type: adversarial, dim: 2, prior: {type: uniform, low: -1, high: 2}, discriminator: {layer: linear, width: [4, 3]}}"
    low: float = knob(-1.0, "lower bound", affects="training")
    high: float = knob(1.0, "upper bound", affects="training")

    def size(self, dim: int, site: Site) -> int:
        """Any dimension; the bounds must be in order."""
        if self.low >= self.high:
            site.refuse(self, INTERVAL, f"low, {self.low:g}, must be smaller than high, {self.high:g}", "low", "high")
        return dim

    def build_prior(self, dim: int) -> nn.Module:
        """The prior's module."""
        from aebuild.modules.priors import UniformPrior

        return UniformPrior(dim, self.low, self.high)
