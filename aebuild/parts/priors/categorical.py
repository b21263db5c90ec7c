"""A categorical prior."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.diagnostics import Rule
from aebuild.lang.families import Prior
from aebuild.lang.node import Node, Site
from aebuild.lang.terms import Contribution
from aebuild.lang.values import Value

if TYPE_CHECKING:
    from torch import nn

ALONE = Rule("AE344", "a single category", """\
A categorical prior makes the code a softmax over `dim` categories. With one category that is always 1, and the code says nothing.

```yaml
latent: {type: adversarial, dim: 1, prior: categorical}
```
```yaml
latent: {type: adversarial, dim: 10, prior: categorical}
```
""")


class Categorical(Prior):
    """One-hot vectors, all equally likely; the code becomes a softmax over its `dim` categories (Makhzani et al., 2015)."""

    type: Literal["categorical"] = "categorical"
    example = "latent: {type: adversarial, dim: 2, prior: categorical, discriminator: {layer: linear, width: [4, 3]}}"
    simplex = True

    def plan_prior(self, codes: Value, site: Site) -> Contribution:
        """Two dimensions or more."""
        if codes.features < 2:
            site.refuse(self, ALONE, "a categorical prior needs a code of at least 2 dimensions", "type", fix="dim: 10")
        return super().plan_prior(codes, site)

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The prior's module."""
        from aebuild.modules.priors import CategoricalPrior

        return CategoricalPrior(node.output.shape)
