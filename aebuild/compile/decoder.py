"""Planning the decoder: solved, chained, unrolled into a loop where a step feeds its own output back, and shaped at its end."""

from __future__ import annotations

from collections.abc import Sequence as Seq
from dataclasses import replace
from math import prod

from aebuild.compile.chain import UNKNOWN_ADAPTER, chain, site_for, with_neighbours
from aebuild.compile.output import plan_output
from aebuild.compile.skips import join_steps
from aebuild.compile.solve import solve
from aebuild.compile.spec import Spec, StageSpec
from aebuild.lang.autoregression import Autoregressive
from aebuild.lang.conditioning import Join
from aebuild.lang.dataset import Gapped
from aebuild.lang.diagnostics import Diagnostic, Rule
from aebuild.lang.families import Adapter, LatentPlan, Layer, LevelPlan
from aebuild.lang.node import Composite, Node, Refusal, Site, Stage
from aebuild.lang.suggest import closest
from aebuild.lang.terms import OutputPlan
from aebuild.lang.values import Range, Value

MISPLACED = Rule("AE309", "a step where it cannot stand", """\
`output` shapes the decoder's output layer, so it stands last in the decoder. `skip` brings an encoder step's output into the decoder, so it
stands in the decoder's own list, not in the encoder and not inside other steps.

```yaml
encoder: [conv: 32, output: {kernel: 4}]
```
```yaml
encoder: [conv: 32]
decoder: [conv: 32, output: {kernel: 4, stride: 2}]
```
""")


def stage_adapter(written: StageSpec, found: list[Diagnostic]) -> str | None:
    """The adapter that a stage names, if there is one of that name."""
    if written.adapter is None or written.adapter in Adapter.variants:
        return written.adapter
    best = closest(written.adapter, Adapter.variants)
    found.append(Diagnostic(UNKNOWN_ADAPTER, f"there is no adapter {written.adapter!r}; there are {', '.join(Adapter.variants)}",
                            written.place("adapter"), f"adapter: {best}" if best else None))
    return None


def check_adapter(written: StageSpec, stage: Stage, path: str, found: list[Diagnostic]) -> None:
    """Reports an adapter that is used nowhere in its stage."""
    if stage.adapter is not None and not stage.adapted:
        found.append(Diagnostic(UNKNOWN_ADAPTER, f"the adapter {stage.adapter!r} is not needed anywhere in this stage",
                                written.place("adapter"), "remove adapter", path))


def plan_decoder(spec: Spec, written: StageSpec, latent: LatentPlan, target: Value, output: OutputPlan, encoder: Stage,
             found: list[Diagnostic], joins: tuple[Join, ...] = (), bounds: Range | None = None) -> tuple[Node | None, dict[str, str]]:
    """The decoder's node, and the encoder's outputs that it reads."""
    check_adapter(spec.encoder, encoder, "encoder", found)
    stage = Stage(up=True, positions=True, target=target, adapter=stage_adapter(written, found), taps=encoder.taps,
                  top="decoder", joins=joins, likelihood=spec.losses.reconstruction, bounds=bounds,
                  gaps=isinstance(spec.data, Gapped) and spec.data.missing == "mask")
    try:
        node, taps = _planned(written, latent, target, output, stage, encoder)
    except Refusal as refusal:
        place = refusal.diagnostic.span or written.place("steps")
        found.append(replace(refusal.diagnostic, span=place))
        return None, {}
    check_adapter(written, stage, "decoder", found)
    return node, taps


def _planned(written: StageSpec, latent: LatentPlan, target: Value, output: OutputPlan, stage: Stage,
                  encoder: Stage) -> tuple[Node, dict[str, str]]:
    code = latent.code if latent.start is None else latent.start.output
    steps, last = list(written.steps), None
    if steps and steps[-1].variant_name() == "output":
        last = steps.pop()
    for step in steps:
        if step.variant_name() == "output":
            raise Refusal(Diagnostic(MISPLACED, "output must be the decoder's last step", step.place(), None, "decoder"))
    steps = _towards(steps, len(target.places))
    shape = last or Layer.named("output")
    made = next((i for i, step in enumerate(steps) if isinstance(step, Autoregressive)), None)
    front = steps[:made]                             # behind a step that makes the data place by place, no size is open
    on_grid = (last is not None and getattr(last, "windowed", True)) or ends_on_grid(steps, code)
    solution = solve(written.but(steps=[*front, shape] if on_grid and made is None else front), code, target, _last_places(encoder, target))
    stage.size, stage.seeds, stage.resizes = solution.size, solution.seeds, solution.resizes
    if made is not None:
        rank = len(target.places)
        stage.resizes.extend(((1,) * rank, target.places) for step in steps[made + 1:] for _ in step.resizes(rank))
    site = site_for("decoder", stage, final=True)
    nodes = list(_chain_decoder(steps, code, site, written.skip, latent.levels, target, output, shape))
    if latent.start is not None:
        nodes.insert(0, latent.start)
    whole = Node("decoder", "stage", latent.code, nodes[-1].output, Composite(), sequential=True, children=tuple(nodes))
    return whole, {key: key for node in whole.walk() for key in node.reads if key in encoder.taps}


def _towards(steps: list[Layer], rank: int) -> list[Layer]:
    """The steps, those behind the last vector as they are meant on the way to a grid of `rank` axes."""
    vectors = [i for i, step in enumerate(steps) if step.wants == ("vector",) or step.variant_name() == "flatten"]
    first = vectors[-1] if vectors else 0
    return [*steps[:first], *(step.towards(rank) for step in steps[first:])]


def _chain_decoder(steps: Seq[Layer], code: Value, site: Site, skip: bool, levels: Seq[LevelPlan], target: Value, output: OutputPlan,
                   shape: Layer) -> Seq[Node]:
    captured = next((i for i, step in enumerate(steps) if getattr(step, "captures", False)), None)
    if captured is not None and not levels:
        return _unrolled(steps, captured, code, site, target, output, shape)
    nodes, value = join_steps(steps, code, site, skip, levels) if skip or levels else site.chain(steps, code, site)
    return [*nodes, plan_output(value, target, output, shape, site)]


def _unrolled(steps: Seq[Layer], at: int, code: Value, site: Site, target: Value, output: OutputPlan, shape: Layer) -> Seq[Node]:
    before, value = site.chain(steps[:at], code, site)
    cell, between = list(with_neighbours(steps))[at]
    here = site.at(str(at), between=between)
    adapters, value = site.adapt(value, cell.kinds(value, here), here, cell)
    inside = cell.unrolled_value(target)  # type: ignore[attr-defined]
    tail, after = chain(steps[at + 1:], inside, site.at(f"{at}.tail"), first=at + 1, before=cell)
    end = plan_output(after, target, output, shape, site.at(f"{at}.tail"))
    return [*before, *adapters, cell.plan_unrolled(value, (*tail, end), here)]  # type: ignore[attr-defined]


def ends_on_grid(steps: Seq[Layer], code: Value) -> bool:
    """True if the value in front of the output layer will be a grid."""
    for step in reversed(steps):
        if step.wants == ("vector",):
            return step.variant_name() == "unflatten"
        if step.resizes(1):
            return True
        if step.variant_name() == "flatten" or step.wants == ("sequence",):
            return False
        if step.wants == ("grid",):
            return True
    return code.axes > 0


def _last_places(encoder: Stage, target: Value) -> tuple[int, ...] | None:
    """The size of the encoder's last grid or sequence of the data's rank, patches in the grid that they were cut from."""
    rank = len(target.places)
    last = next((value for value in reversed(encoder.taps.values()) if value.places), None)
    if encoder.size is not None and last is not None and len(encoder.size) == rank and last.series_length == prod(encoder.size):
        return encoder.size
    for value in reversed(encoder.taps.values()):
        if value.places and (not rank or len(value.places) == rank):
            return value.places
    return None
