"""The decoder that mirrors an encoder, and its departures."""

from __future__ import annotations

from collections.abc import Sequence as Seq

from aebuild.compile.spec import Mirror
from aebuild.lang.diagnostics import Diagnostic, Rule
from aebuild.lang.families import Layer, mirror_steps

DEAD_DEPARTURE = Rule("AE332", "a departure from the mirror that changes nothing", """\
`widen` multiplies the widths of the mirrored layers and `deepen` copies the first of them. An encoder without a layer that has a width
leaves nothing to widen or to copy.

```yaml
encoder: [pool: 2]
decoder: {type: mirror, deepen: 1}
```
```yaml
encoder: [conv: 32, pool: 2]
decoder: {type: mirror, deepen: 1}
```
""")


def mirror(encoder: Seq[Layer], departure: Mirror) -> list[Layer]:
    """The encoder's layers in reverse, wider by `widen`, with `deepen` more in front."""
    steps = mirror_steps(list(encoder))
    if departure.widen != 1:
        steps = [step.widened(departure.widen) for step in steps]
    extra = _extra(steps) if departure.deepen else None
    return steps if extra is None else [extra] * departure.deepen + steps


def check_departure(encoder: Seq[Layer], departure: Mirror) -> Diagnostic | None:
    """What a departure that would do nothing is told."""
    if not departure.deepen and departure.widen == 1:
        return None
    steps = mirror_steps(list(encoder))
    if departure.deepen and _extra(steps) is None:
        return Diagnostic(DEAD_DEPARTURE, "the encoder has no layer to copy", departure.place("deepen"), "remove deepen", "decoder.deepen")
    if departure.widen != 1 and [step.widened(departure.widen) for step in steps] == steps:
        return Diagnostic(DEAD_DEPARTURE, f"no width changes when it is multiplied by {departure.widen:g}", departure.place("widen"),
                          "remove widen", "decoder.widen")
    return None


def _extra(steps: Seq[Layer]) -> Layer | None:
    """The first layer that can be copied: one with a width, without its stride; else steps in steps that keep the size."""
    for step in steps:
        known = type(step).model_fields
        if "width" in known:
            return step.but(stride=1) if "stride" in known else step
    for step in steps:
        if "steps" in type(step).model_fields and all(resize.factor in (None, (1,)) for resize in step.resizes(1)):
            return step
    return None
