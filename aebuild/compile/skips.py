"""`skip: true`: a skip wherever the decoder reaches the size of an encoder step."""

from __future__ import annotations

from collections.abc import Sequence as Seq

from aebuild.compile.chain import plan_step
from aebuild.compile.plan import Plan
from aebuild.compile.spec import StageSpec
from aebuild.lang.diagnostics import Diagnostic, Rule
from aebuild.lang.families import Layer
from aebuild.lang.node import Node, Site
from aebuild.lang.values import Value

DEAD_SKIP = Rule("AE214", "skips that find nothing to skip from", """\
`skip: true` joins an encoder step's output to the decoder wherever both stand on grids or sequences of equal size. Where no sizes agree, or
where the decoder feeds its own output back, no skip is added.

```yaml
encoder: {layer: linear, width: 64}                       # no grid anywhere
decoder: {layer: conv, width: [32, 16], skip: true}
```
```yaml
encoder: {layer: conv, width: [16, 32], stride: 2}
decoder: {layer: conv, width: [32, 16], skip: true}
```
""", "warning")


def check_skips(plan: Plan) -> list[Diagnostic]:
    """A warning if `skip: true` adds nothing."""
    decoder = plan.spec.decoder
    if plan.taps or not isinstance(decoder, StageSpec) or not decoder.skip:
        return []
    message = "no step of the decoder has the size of a step of the encoder"
    return [Diagnostic(DEAD_SKIP, message, decoder.place("skip"), "skip: false", "decoder.skip")]


def add_skips(steps: Seq[Layer], value: Value, site: Site) -> tuple[tuple[Node, ...], Value]:
    """Plans the steps one by one; behind each, joins the latest unused encoder output of equal places."""
    nodes: list[Node] = []
    unused = dict(site.stage.taps)
    for i, step in enumerate(steps):
        planned, value = plan_step(step, value, site.at(str(i), final=site.final and i == len(steps) - 1), steps[i + 1:])
        nodes += planned
        fitting = [path for path, tap in unused.items() if tap.alike(value) and value.places]
        if not fitting:
            continue
        for path in fitting:
            del unused[path]
        skip = Layer.named("skip", **{"from": fitting[-1]})
        node = skip.plan(value, site.at(f"{i}_skip")).marked_inserted()
        nodes.append(node)
        value = node.output
    return tuple(nodes), value
