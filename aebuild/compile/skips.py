"""What joins the decoder between its steps: levels of the code, and with `skip: true` the encoder's steps of equal size."""

from __future__ import annotations

from collections.abc import Sequence as Seq
from typing import TYPE_CHECKING

from aebuild.compile.chain import plan_step, with_neighbours
from aebuild.compile.plan import Plan
from aebuild.compile.spec import StageSpec
from aebuild.lang.diagnostics import Diagnostic, Rule
from aebuild.lang.families import Layer, LevelPlan
from aebuild.lang.node import Buildable, Node, Refusal, Site
from aebuild.lang.values import Value

if TYPE_CHECKING:
    from torch import nn

NO_HOME = Rule("AE397", "a level of the code that finds no place in the decoder", """\
A level joins the decoder behind a step that has its places, or behind any if it is one vector. Without `to` that is the first such step.
Where none has its places, its code would be used nowhere.

```yaml
data: mnist
encoder: [conv: {width: 32, stride: 2}, conv: {width: 64, stride: 2}]                     # 14×14, 7×7
latent: [codebook: {codes: 512, dim: 32}, codebook: {codes: 512, dim: 32, from: encoder.0}]
decoder: [conv: {width: 64, stride: 4}]                                                   # 28×28 at once
```
```yaml
decoder: [conv: {width: 64, stride: 2}, conv: {width: 32, stride: 2}]
```
""")

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
""", "warning", idle=True)


def check_skips(plan: Plan) -> list[Diagnostic]:
    """A warning if `skip: true` adds nothing."""
    decoder = plan.spec.decoder
    if plan.taps or not isinstance(decoder, StageSpec) or not decoder.skip:
        return []
    message = "no step of the decoder has the size of a step of the encoder"
    return [Diagnostic(DEAD_SKIP, message, decoder.place("skip"), "skip: false", "decoder.skip")]


def join_steps(steps: Seq[Layer], value: Value, site: Site, skip: bool, levels: Seq[LevelPlan]) -> tuple[tuple[Node, ...], Value]:
    """Plans the steps one by one; behind each join the levels of the code that belong there, and the latest skip that fits."""
    nodes: list[Node] = []
    unused, waiting = dict(site.stage.taps) if skip else {}, list(levels)
    for i, (step, between) in enumerate(with_neighbours(steps)):
        here = site.at(str(i), final=site.final and i == len(steps) - 1, between=between)
        planned, value = plan_step(step, value, here)
        nodes += planned
        for level in [each for each in waiting if _belongs(each, here.path, value)]:
            waiting.remove(level)
            nodes.append(JoinLevel().plan(f"{here.path}_level_{level.key.rpartition('.')[2]}", level, value))
            value = nodes[-1].output
        fitting = [path for path, tap in unused.items() if tap.alike(value) and value.places]
        if not fitting:
            continue
        for path in fitting:
            del unused[path]
        layer = Layer.named("skip", **{"from": fitting[-1]})
        node = layer.plan(value, site.at(f"{i}_skip")).marked_inserted()
        nodes.append(node)
        value = node.output
    if waiting:
        raise Refusal(_homeless(waiting[0], nodes, steps, site))
    return tuple(nodes), value


def _belongs(level: LevelPlan, path: str, value: Value) -> bool:
    if level.to is None:
        return level.value.alike(value)
    return level.to == path and (level.value.alike(value) or not level.value.places)


def _homeless(level: LevelPlan, nodes: Seq[Node], steps: Seq[Layer], site: Site) -> Diagnostic:
    there = {f"{site.path}.{i}": node.output for i in range(len(steps)) for node in nodes if node.path == f"{site.path}.{i}"}
    fitting = [path for path, value in there.items() if level.value.alike(value) or not level.value.places]
    why = f"the decoder has no step {level.to!r}" if level.to is not None and level.to not in there else \
        f"{level.to} gives {there[level.to]}" if level.to is not None else "no step of the decoder has these places"
    told = ", ".join(f"{path} ({value})" for path, value in there.items()) or "none"
    return Diagnostic(NO_HOME, f"level {level.key.rpartition('.')[2]} of the code is {level.value}, but {why}; its steps are {told}",
                      level.place, f"to: {fitting[-1]}" if fitting else None, level.key)


class JoinLevel(Buildable):
    """Stacks a level of the code on the decoder's value."""

    def plan(self, path: str, level: LevelPlan, value: Value) -> Node:
        """As many features more as the code has."""
        out = value.with_features(value.features + level.value.features)
        return Node(path, "join", value, out, self, {"key": level.key, "axis": value.feature_axis}, reads=(level.key,), inserted=True)

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """A step without weights."""
        from aebuild.modules.latent_levels import JoinCode

        return JoinCode(node.args["key"], node.args["axis"])
