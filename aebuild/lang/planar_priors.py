"""The check of priors that live in the plane."""

from __future__ import annotations

from aebuild.lang.diagnostics import Rule
from aebuild.lang.families import Prior
from aebuild.lang.node import Site
from aebuild.lang.values import Value

PLANE = Rule("AE342", "a prior that lives in the plane", """\
The priors `petals` and `swiss_roll` are shapes in the plane, made to be looked at: their code has two dimensions. For a larger
code take `gaussian` or `uniform`.

```yaml
latent: {type: adversarial, dim: 8, prior: swiss_roll}
```
```yaml
latent: {type: adversarial, dim: 2, prior: swiss_roll}
```
""")


def require_plane(prior: Prior, codes: Value, site: Site) -> None:
    """Refuses a code that has not two dimensions."""
    if codes.shape != (2,):
        message = f"the prior {prior.variant_name()} is a shape in the plane, but the code is {codes}"
        site.refuse(prior, PLANE, message, "type", fix="dim: 2")
