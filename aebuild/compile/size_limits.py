"""How many layers a spec asks for, before any of them is planned."""

from __future__ import annotations

from typing import Any

from aebuild.compile.spec import Mirror, Spec
from aebuild.lang.diagnostics import Diagnostic, Hint, Rule, Span
from aebuild.lang.families import Layer
from aebuild.lang.part import Part

MOST = 40_000

TOO_MANY = Rule("AE334", "more layers than can be planned", f"""\
`depth`, `times` and `deepen` multiply layers. A model of more than {MOST:,} layers is a slip of the hand; its plan alone would take
many seconds and its training forever.

```yaml
encoder: [repeat: {{times: 1000000, steps: [linear: 64]}}]
```
```yaml
encoder: [repeat: {{times: 10, steps: [linear: 64]}}]
```
""")


def check_extent(spec: Spec) -> list[Diagnostic]:
    """An error at the stage with the most layers if there are too many."""
    encoder = layers_in(spec.encoder)
    stages: list[tuple[int, Span | None, str]] = [(encoder, spec.place("encoder"), "encoder"),
                                                  (layers_in(spec.latent), spec.place("latent"), "latent")]
    if isinstance(spec.decoder, Mirror):
        stages.append((encoder + spec.decoder.deepen, spec.decoder.place("deepen") or spec.place("encoder"), "decoder"))
    else:
        stages.append((layers_in(spec.decoder), spec.place("decoder"), "decoder"))
    stages += [(layers_in(head), head.place("network"), f"heads.{name}") for name, head in spec.heads.items()]
    total = sum(count for count, _, _ in stages)
    if total <= MOST:
        return []
    count, span, path = max(stages, key=lambda stage: stage[0])
    return [Diagnostic(TOO_MANY, f"the model has {total:,} layers, {count:,} of them in {path}", span, Hint(f"at most {MOST:,}"), path)]


def layers_in(value: Any) -> int:
    """Layers in a part, counting repetitions, without listing them."""
    if isinstance(value, list):
        return sum(map(layers_in, value))
    if not isinstance(value, Part):
        return 0
    inside = sum([layers_in(held) for held in value.held() if isinstance(held, list | Part)])
    return max(1, inside) * int(vars(value).get("times", 1)) if isinstance(value, Layer) else inside
