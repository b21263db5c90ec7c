"""How long a sequence that a code unfolds to becomes."""

from __future__ import annotations

from math import prod

from aebuild.lang.diagnostics import Diagnostic, Rule
from aebuild.lang.families import Layer
from aebuild.lang.node import Refusal, Site
from aebuild.lang.values import Value

LENGTHLESS = Rule("AE360", "a vector must become a sequence, but of what length?", """\
Recurrent and transformer layers read sequences. In a decoder a code becomes one as long as the data's, or as the encoder's. Where
neither has a length, say it with `seed`, or put an `unflatten` step before the layer.

```yaml
data: wine                                   # a table: vectors all the way
encoder: {layer: linear, width: 64}
latent: {type: continuous, dim: 4}
decoder: {layer: lstm, width: 32}
```
```yaml
decoder: {layer: lstm, width: 32, seed: [8]}
```
""")


def length_for(layer: Layer | None, value: Value, site: Site) -> int:
    """Positions of the sequence that `value` becomes in front of `layer`: the solved size, else the target's length."""
    stage = site.stage
    if stage.size is not None:
        return prod(stage.size)
    if stage.target is not None and stage.target.series_length is not None:
        return stage.target.series_length
    name = layer.variant_name() if layer is not None else "the latent"
    raise Refusal(Diagnostic(LENGTHLESS, f"{name} wants a sequence but gets {value}, and nothing says how long it should be",
                             layer.place() if layer is not None else None, "seed: [8]", site.path))
