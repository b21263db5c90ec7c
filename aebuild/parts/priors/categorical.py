"""A categorical prior."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.diagnostics import Rule
from aebuild.lang.families import Prior
from aebuild.lang.node import Site

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

    def size(self, dim: int, site: Site) -> int:
        """Two dimensions or more."""
        if dim < 2:
            site.refuse(self, ALONE, "a categorical prior needs a code of at least 2 dimensions", "type", fix="dim: 10")
        return dim

    def build_prior(self, dim: int) -> nn.Module:
        """The prior's module."""
        from aebuild.modules.priors import CategoricalPrior

        return CategoricalPrior(dim)
