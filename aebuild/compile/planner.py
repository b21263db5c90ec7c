"""Spec and data to Plan: types, sizes and costs of everything, or the reasons why not."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as Seq
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar, cast

from aebuild.compile.chain import read_otherwise, site_for
from aebuild.compile.conditions import Joins, check_joined, joins_of
from aebuild.compile.decoder import MISPLACED, plan_decoder, stage_adapter
from aebuild.compile.duration import usual_epochs
from aebuild.compile.following import check_following
from aebuild.compile.gc_pause import collecting_later
from aebuild.compile.heads import columns_of, unpredictable
from aebuild.compile.mirror import check_departure, mirror
from aebuild.compile.phases import plan_phases
from aebuild.compile.plan import DialPlan, HeadPlan, Plan
from aebuild.compile.size_limits import check_extent
from aebuild.compile.spec import Mirror, Spec, StageSpec
from aebuild.compile.terms import check_needs, check_reads, plan_penalty, plan_terms
from aebuild.compile.visible import SCALELESS, check_masked, check_patches, check_uses, hidden_elements, seen, visible_patches
from aebuild.lang.conditioning import KEY, Join
from aebuild.lang.dataset import DataInfo
from aebuild.lang.diagnostics import Diagnostic, Hint, Rule
from aebuild.lang.families import Corruption, LatentPlan, Layer
from aebuild.lang.node import Composite, Node, Refusal, Site, Stage
from aebuild.lang.terms import Contribution, ModelTypes, OutputPlan, Penalty
from aebuild.lang.training import PhasePart
from aebuild.lang.values import Value

T = TypeVar("T")

UNANSWERED = Rule("AE371", "an evaluation task that these data cannot answer", """\
Tasks ask something of the data, such as labels. The figures of each stand under its name, so a task that is asked twice needs two names.

```yaml
data: photos
evaluate: {tasks: [probe, probe]}
```
```yaml
data: digits
evaluate: {tasks: [probe, {type: probe, name: converged}]}
```
""")

NO_NUMBERS = Rule("AE354", "a corruption of tokens", """\
Most corruptions change numbers: they add to them, or set them to a value. Tokens are names of symbols, of which neither makes sense.
`token_mask` hides some of them; dropout behind the embedding hides a share of what the model sees.

```yaml
data: {type: arrays, path: text.npy, as: tokens, shape: [12], vocabulary: 27}
losses: {reconstruction: categorical}
corrupt: [gaussian: {std: 0.3}]
```
```yaml
corrupt: []
encoder: [linear: 64, dropout: 0.1]
```
""")

UNFIT_MASK = Rule("AE828", "a corruption of other samples", """\
`token_mask` puts a symbol of its own in the place of tokens, so it is for texts and other series of symbols. Patches and blocks are hidden
in what has places: series, images, volumes. Single numbers of anything are hidden by `mask`.

```yaml
data: wine                                     # a table
corrupt: [block_mask: {size: 4, count: 1}]
```
```yaml
data: wine
corrupt: [mask: 0.25]
```
""")

UNJUDGED = Rule("AE355", "a likelihood of numbers for tokens", """\
A likelihood like `mse` or `gaussian` says how far a number is from another. Tokens are names of symbols, of which the numbers tell no
distance: 3 is no nearer to 4 than to 9. The categorical likelihood gives each of them a probability.

```yaml
data: {type: arrays, path: text.npy, as: tokens, shape: [12], vocabulary: 27}
losses: {reconstruction: mse}
```
```yaml
losses: {reconstruction: categorical}
```
""")


@dataclass(eq=False)
class Planned:
    """A plan, or None, and everything found on the way."""

    plan: Plan | None
    diagnostics: list[Diagnostic]


@collecting_later()
def plan(spec: Spec, info: DataInfo, least: int | None = None) -> Planned:
    """Plan a spec for data of this type; goes on after a refusal to report as much as possible.

    A training whose length is not written takes at least so many steps, by default duration.STEPS.
    """
    found = check_extent(spec)
    if found:
        return Planned(None, found)
    spec = with_phases(spec)
    (corruptions, corrupted), joins = _corrupt(spec, info, found), joins_of(spec, info, found)
    visible = visible_patches(corruptions)
    encoder, shorter, stage = _encoder(spec, corrupted, visible, joins, found)
    latent = _attempt(found, lambda: _latent(spec, encoder.output, stage)) if encoder else None
    written = resolve_decoder(spec)
    if isinstance(spec.decoder, Mirror) and (dead := check_departure(spec.encoder.steps, spec.decoder)) is not None:
        found.append(dead)
    output = _attempt(found, lambda: _output_plan(spec, info, corruptions, corrupted))
    decoder: Node | None = None
    taps: dict[str, str] = {}
    if latent and output:
        decoder, taps = plan_decoder(spec, written, latent, info.target, output, stage, found, joins["decoder"], info.target_range)
        taps |= {key: key for node in latent.node.walk() for key in node.reads if key in stage.taps}
    if encoder and latent and decoder:
        _attempt(found, partial(spec.latent.meets, encoder, decoder, site_for("latent", Stage())))
    heads = _heads(spec, info, latent, encoder, found)
    penalties = _penalties(spec, info, latent, encoder, joins["critic"], found)
    losses = {**penalties, **{head.name: head.contribution() for head in heads}}
    terms = plan_terms(spec, latent, output, losses, info, found, encoder)
    usual = usual_epochs(spec, info.counts.get("train"), least)
    phases = plan_phases(spec, written, latent, encoder, decoder, penalties, terms, usual, found)
    _check_tasks(spec, info, found)
    check_joined(spec, joins, found)
    check_following(spec, info, found)
    check_uses(spec, decoder, visible, found)
    refusals = _refusals(latent, decoder, penalties) if latent and decoder else {}
    if spec.losses.reconstruction.normalize is not None:
        refusals.update(dict.fromkeys(("sample", "interpolate", "decode"), SCALELESS))
    check_needs(spec, refusals, found)
    if not (encoder and latent and decoder and output) or any(d.is_error for d in found):
        return Planned(None, found)
    result = Plan(spec, info.value, info.target, info.target_range, encoder, latent, decoder, output, heads, terms, phases,
                  penalties, (), taps, refusals, info.condition_features, corruptions, shorter)
    return Planned(replace(result, dials=tuple(_dials([*result.nodes()]))), found)


def with_phases(spec: Spec) -> Spec:
    """The spec with the phases that its parts want behind those that train the model, where it writes none."""
    there = {phase.variant_name() for phase in spec.train.phases}
    wanted = [] if "phases" in spec.train._origin.fields else [name for name in spec.latent.phases() if name not in there]
    if not wanted:
        return spec
    return spec.but(train=spec.train.but(phases=[*spec.train.phases, *(PhasePart.named(name) for name in wanted)]))


def resolve_decoder(spec: Spec) -> StageSpec:
    """The decoder as a list of steps: written, or derived from the encoder."""
    decoder = spec.decoder
    if isinstance(decoder, StageSpec):
        return decoder
    return StageSpec(steps=mirror(spec.encoder.steps, cast(Mirror, decoder))).placed(decoder._origin)


def _output_plan(spec: Spec, info: DataInfo, corruptions: Seq[Corruption], corrupted: Value) -> OutputPlan:
    """The likelihood's demands on the output layer."""
    check_reads(spec.losses.reconstruction.reads_context, _written(spec), spec.losses.reconstruction, "losses.reconstruction")
    likelihood = spec.losses.reconstruction
    if info.target.kind not in likelihood.judges:
        place, fix = spec.losses.place("reconstruction"), "reconstruction: categorical"
        message = f"{likelihood.variant_name()} measures distances of numbers, but the data are {info.target}, which name symbols"
        raise Refusal(Diagnostic(UNJUDGED, message, place or spec.place(), fix if place else f"losses: {{{fix}}}", "losses.reconstruction"))
    output = likelihood.plan_output(info.target, info.target_range)
    check_masked(spec, corruptions, corrupted, info.target)
    check_patches(spec, output, info.value, info.target)
    return output if likelihood.on == "all" else replace(output, elements=hidden_elements(corruptions, output.elements))


def _attempt(found: list[Diagnostic], make: Callable[[], T]) -> T | None:
    try:
        return make()
    except Refusal as refusal:
        found.append(refusal.diagnostic)
        return None


def _corrupt(spec: Spec, info: DataInfo, found: list[Diagnostic]) -> tuple[tuple[Corruption, ...], Value]:
    """The corruptions, each knowing what it stands between, and the type behind them."""
    value, settled = info.value, []
    for i, corruption in enumerate(spec.corrupt):
        if value.kind not in corruption.takes:
            found.append(_unfit(spec, corruption, value, i))
            break
        site = site_for(f"corrupt.{i}", Stage())
        facing = _attempt(found, partial(corruption.facing, value, tuple(spec.encoder.steps), site))
        if facing is None:
            continue
        settled.append(facing)
        value = _attempt(found, partial(facing.plan_corruption, value, site)) or value
    return tuple(settled), value


def _unfit(spec: Spec, corruption: Corruption, value: Value, number: int) -> Diagnostic:
    """What is said of a corruption of another kind of samples."""
    name, path = corruption.variant_name(), f"corrupt.{number}"
    if value.dtype == "int64":
        return Diagnostic(NO_NUMBERS, f"{name} changes numbers, but the data are {value}, names of symbols", spec.place("corrupt"),
                          "remove corrupt", path, notes=("`token_mask` is the one that hides tokens",))
    return Diagnostic(UNFIT_MASK, f"{name} is for {' and '.join(corruption.takes)}, but the data are {value}", spec.place("corrupt"),
                      "remove corrupt", path)


def _encoder(spec: Spec, value: Value, visible: int | None, joins: Joins, found: list[Diagnostic]
             ) -> tuple[Node | None, Node | None, Stage]:
    """The encoder, the same of the patches that it sees in training where some are hidden, and what its steps shared."""
    def stage(shortened: bool) -> Stage:
        return Stage(positions=getattr(spec.latent, "per", "position") == "position", adapter=stage_adapter(spec.encoder, found),
                     size=tuple(spec.encoder.seed) if spec.encoder.seed else None, taken=value, top="encoder", joins=joins["encoder"],
                     given=joins["prior"], critics=joins["critic"], visible=visible, shortened=shortened)

    before, first = len(found), stage(False)
    node = plan_steps("encoder", spec.encoder, value, first, found)
    if not value.places:
        found[before:] = [read_otherwise(spec.data, finding) for finding in found[before:]]
    if node is None or visible is None:
        return node, None, first
    both = _attempt(found, partial(seen, node, lambda: plan_steps("encoder", spec.encoder, value, stage(True), []), visible))
    return (None, None, first) if both is None else (both.whole, both.shorter, first)


def plan_steps(path: str, written: StageSpec, value: Value, stage: Stage, found: list[Diagnostic]) -> Node | None:
    """The node of a stage that is no decoder."""
    for step in written.steps:
        if step.variant_name() in ("output", "skip"):
            found.append(Diagnostic(MISPLACED, f"{step.variant_name()} cannot stand here", step.place(), None, path))
            return None
    try:
        site = site_for(path, stage)
        nodes, out = site.chain(written.steps, value, site)
        if out.dtype == "int64":                       # a stage gives numbers, also one without steps
            nodes, out = site.adapt(out, ("sequence",), site, None)
    except Refusal as refusal:
        found.append(refusal.diagnostic)
        return None
    return Node(path, "stage", value, out, Composite(), sequential=True, children=nodes)


def _latent(spec: Spec, value: Value, stage: Stage) -> LatentPlan:
    return spec.latent.plan_latent(value, site_for("latent", stage))


def _heads(spec: Spec, info: DataInfo, latent: LatentPlan | None, encoder: Node | None, found: list[Diagnostic]) -> tuple[HeadPlan, ...]:
    heads = []
    for name, head in spec.heads.items():
        if (reason := unpredictable(name, head, info)) is not None:
            found.append(reason)
            continue
        value = latent.code if latent and head.source == "latent" else encoder.output if encoder and head.source == "encoder" else None
        if value is None:
            continue
        site = site_for(f"heads.{name}", Stage())
        node = plan_steps(f"heads.{name}.network", head.network, value, site.stage, found)
        if node is None:
            continue
        columns = columns_of(name, head, info)
        outputs = sum(width for *_, width in columns) or info.classes or 0
        heads.append(HeadPlan(name, head.source, _with_classes(node, outputs, site), outputs, columns))
    return tuple(heads)


def _with_classes(node: Node, classes: int, site: Site) -> Node:
    flat, value = site.at("network").adapt(node.output, ("vector",), site.at("network"), None)
    linear = Layer.named("linear", width=classes, activation=None)
    last = linear.plan(value, site.at("network").at("output"))
    return replace(node, children=(*node.children, *flat, last), output=last.output)


def _penalties(spec: Spec, info: DataInfo, latent: LatentPlan | None, encoder: Node | None, critics: tuple[Join, ...],
               found: list[Diagnostic]) -> dict[str, Contribution]:
    if latent is None or encoder is None:
        return {}
    types = ModelTypes(info.value, info.target, info.target_range, encoder.output, latent.code, spec.latent, tuple(spec.corrupt),
                       _written(spec), info.counts.get("train"), info.classes, info.labelled, encoder.input)
    planned = {}
    for name, config in spec.losses.terms.items():
        if isinstance(config, Penalty):
            site = site_for(f"penalties.{name}", Stage(critics=critics))
            made = _attempt(found, partial(plan_penalty, spec, name, config, types, site))
            if made is not None:
                planned[name] = made
    return planned


def _check_tasks(spec: Spec, info: DataInfo, found: list[Diagnostic]) -> None:
    names: set[str] = set()
    for i, task in enumerate(spec.evaluate.tasks):
        name = task.key
        reason = f"{name} is asked twice; give one of them another `name`" if name in names else task.check(info)
        names.add(name)
        if reason is not None:
            found.append(Diagnostic(UNANSWERED, f"{name}: {reason}", task.place(), Hint("leave it out"), f"evaluate.tasks.{i}"))


def _written(spec: Spec) -> tuple[str, ...]:
    """What losses may read: the clean target, and what corruptions leave on the way."""
    return ("target", *(key for corruption in spec.corrupt for key in corruption.writes_context))


def _dials(nodes: Seq[Node]) -> list[DialPlan]:
    return [DialPlan(node.path, attribute, dial) for node in nodes if node.args.get("dials")
            for attribute, dial in getattr(node.part, "dials", dict)().items()]


def _refusals(latent: LatentPlan, decoder: Node, penalties: dict[str, Contribution]) -> dict[str, str]:
    """Operations that this design cannot do: those of its parts, and all that start from a code where the decoder reads more than that."""
    refusals = {**latent.refusals, **{key: why for each in penalties.values() for key, why in each.refusals.items()}}
    # the true values, and which of them are known, are there in training alone
    own = {key for node in decoder.walk() for key in node.writes} | {"mean", "target", "mask", KEY}
    if any(node.kind == "autoregression" for node in decoder.walk()):
        refusals["reconstruct in one program"] = "its decoder draws the data place by place, and a program has no random numbers of its own"
    for node in decoder.walk():
        for key in node.reads:
            if key not in own:
                reason = "its decoder needs the encoder's outputs through skips, so a code alone does not determine the data" \
                    if node.kind == "skip" else f"its decoder reads `{key}` at {node.path}, so a code alone does not determine the data"
                refusals.update(dict.fromkeys(("sample", "interpolate", "decode"), reason))
    return refusals
