"""The families of sparse codes: what makes them sparse, and what brings dead units back."""

from __future__ import annotations

from typing import ClassVar

from aebuild.lang.diagnostics import Rule
from aebuild.lang.families import ProjectedLatent
from aebuild.lang.node import Node, Site
from aebuild.lang.part import Part
from aebuild.lang.terms import Contribution, Provider
from aebuild.lang.values import Value

TOO_MANY = Rule("AE381", "more active units than there are", """\
A sparse code keeps some of its units and sets the others to zero. There must be others.

```yaml
data: digits
encoder: []
latent: {type: sparse, dim: 16, activation: {type: top_k, k: 32}}
```
```yaml
latent: {type: sparse, dim: 256, activation: {type: top_k, k: 32}}
```
""")


class Sparsifier(Provider):
    """What becomes of the projection: which units of a sparse code are active, and how much.

    The module it builds has `forward(pre, bias) -> (code, terms, beside)`: the projection's output [N, ...] and its bias to the code, raw
    terms, and what its `losses()` read of a pass later.
    """

    family = "sparsifier"
    default_variant = "relu"
    sparse_by_itself: ClassVar[bool] = True         # without a penalty beside it

    def active(self, code: Value) -> int:
        """At most how many units of a place are active."""
        return code.features

    def plan_sparsifier(self, latent: ProjectedLatent, code: Value, site: Site) -> Contribution:
        """The sparsifier of codes of this type."""
        return Contribution(node=Node(site.path, str(self.variant_name()), code, code, self))


class Revival(Provider):
    """How units that no sample activates any more come back.

    The module it builds is a `modules.revival.Revival`.
    """

    family = "revival"
    moves: ClassVar[bool] = False        # it changes the dictionary, which must be one linear map back to what is encoded

    def plan_revival(self, code: Value, site: Site) -> Contribution:
        """The revival of codes of this type."""
        return Contribution(node=Node(site.path, str(self.variant_name()), code, code, self, aside=True))


def check_k(k: int, part: Part, code: Value, site: Site) -> None:
    """Refuses to keep as many units as there are."""
    if k >= code.features:
        site.refuse(part, TOO_MANY, f"{k} active units, but the code has {code.features}", "k", fix=f"k: {max(1, code.features // 8)}")
