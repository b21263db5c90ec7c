"""A code in levels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from aebuild.lang.conditioning import Join
from aebuild.lang.diagnostics import Hint, Rule
from aebuild.lang.families import Latent, LatentPlan, LevelPlan
from aebuild.lang.node import Buildable, Node, Site
from aebuild.lang.part import Part, knob
from aebuild.lang.projection import Projection
from aebuild.lang.terms import AUTOENCODER, Provider, Role, TermPlan
from aebuild.lang.values import Tokens, Value, Vector, elements

if TYPE_CHECKING:
    from torch import nn

NO_TAP = Rule("AE395", "a level that reads no step of the encoder", """\
The first level of a code reads the end of the encoder. Each further one names the step of the encoder that it reads besides the level
above it, by its path: `encoder.` and the step's number, counted from 0.

```yaml
encoder: [conv: {width: 32, stride: 2}, conv: {width: 64, stride: 2}]
latent:
- codebook: {codes: 512, dim: 32}
- codebook: {codes: 512, dim: 32, from: encoder.7}
```
```yaml
latent:
- codebook: {codes: 512, dim: 32}
- codebook: {codes: 512, dim: 32, from: encoder.0}
```
""")

MIXED = Rule("AE396", "levels that cannot stand together", """\
A level has no levels of its own, shares no weights with the decoder, as a dictionary does, and has no prior made of the encoder's codes.

```yaml
latent:
- gaussian: {dim: 8}
- sparse: {dim: 64, activation: {type: top_k, k: 4}, from: encoder.0}
```
```yaml
latent:
- gaussian: {dim: 8}
- gaussian: {dim: 4, from: encoder.0}
```
""")


class Level(Part):
    """One level of a code: a latent, the encoder's step that it reads, and the decoder's step behind which it joins."""

    example = ("encoder: [linear: 6, linear: 5]\n"
               "latent: [gaussian: {dim: 2}, gaussian: {dim: 3, from: encoder.0, to: decoder.0}]")
    wraps = "latent"
    latent: Latent = Field(..., description="the code of this level", examples=["{type: gaussian, dim: 8}"])
    source: str | None = Field(None, alias="from", description="path of the encoder's step that it reads, like encoder.0; of the first "
                               "level the encoder's end", json_schema_extra={"affects": "graph"})
    to: str | None = knob(None, "path of the decoder's step behind which it joins, like decoder.1; none: the first with the same places",
                          affects="graph")


class FromAbove(Buildable):
    """The code above, projected and brought to the places of what a level reads."""

    def plan(self, path: str, code: Value, read: Value) -> Node:
        """As many features as what is read has."""
        places = bool(code.places) and code.kind == read.kind and len(code.places) == len(read.places)
        taken = code if places else Vector(elements(code))
        projection = Projection(activation=None).plan(f"{path}.project", taken, read.features)
        return Node(path, "above", code, read, self, {"places": places}, children=(projection,), window=None)

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The projection, and the way to the places."""
        from aebuild.modules.latent_levels import Above

        return Above(children["project"], node.output.places, node.output.feature_axis, flat=not node.args["places"])


class Split(Buildable):
    """The codes of all levels apart; the first goes on."""

    def plan(self, code: Value, first: Value, levels: tuple[LevelPlan, ...]) -> Node:
        """The first code; the others stand in the context."""
        args = {"keys": [level.key for level in levels], "shapes": [first.shape, *(level.value.shape for level in levels)]}
        return Node("decoder.codes", "split", code, first, self, args, writes=tuple(args["keys"]), inserted=True)  # type: ignore[arg-type]

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """A step without weights."""
        from aebuild.modules.latent_levels import SplitCodes

        return SplitCodes(node.args["keys"], node.args["shapes"])


class Levels(Latent):
    """A code in levels, written as a list, the top first (Razavi et al., 2019; Sønderby et al., 2016).

    The top level reads the encoder's end and starts the decoder. Each further one reads a step of the encoder together with the code above
    it, and joins the decoder on its way. Terms, metrics and players of level i have `_i` behind their name: `kl_0`, `commitment_1`.
    The code as a whole is a vector of all of them; new ones are drawn from the top down. It has indices where all levels have some;
    codebooks and codes of numbers may stand above each other.
    """

    type: Literal["levels"] = "levels"
    example = ("encoder: [linear: 6, linear: 5]\n"
               "latent: [gaussian: {dim: 2}, gaussian: {dim: 3, from: encoder.0, to: decoder.0}]\n"
               "losses: {kl_1: 0.5}\n"
               "---\n"
               "encoder: {layer: conv, width: [4, 5], stride: 2}\n"
               "latent: [codebook: {codes: 4, dim: 2, prior: empirical}, gaussian: {dim: 2, prior: conditional, from: encoder.0, "
               "to: decoder.0}]\n"
               "---\n"
               "encoder: {layer: conv, width: [4, 5], stride: 2}\n"
               "latent: [gaussian: {dim: 2}, codebook: {codes: 4, dim: 2, prior: empirical, from: encoder.0}]")
    also = ("hierarchical", "hierarchy", "ladder", "multiscale", "vqvae2", "vq_vae_2", "nvae")
    levels: list[Level] = Field(..., description="the levels, the top first", min_length=1, examples=["[gaussian: {dim: 8}]"])

    @property
    def per(self) -> str:
        """Where the top level has its codes."""
        return str(getattr(self.levels[0].latent, "per", "sample"))

    def parts(self) -> tuple[Provider, ...]:
        """The latents of the levels, and what they are made of."""
        return tuple(part for level in self.levels for part in (level.latent, *level.latent.parts()))

    def plan_latent(self, value: Value, site: Site) -> LatentPlan:
        """The levels from the top down."""
        plans: list[LatentPlan] = []
        nodes: list[Node] = []
        for i, level in enumerate(self.levels):
            read, source = self._read(level, i, value, site)
            if plans:
                above = FromAbove().plan(f"{site.path}.above_{i}", plans[-1].code, read)
                nodes.append(above)
                read = read.with_features(read.features + above.output.features)
            made = _planned(level.latent, read, plans[-1].code if plans else None, site.at(str(i)))
            if (reason := _alone(level.latent, made)) is not None:
                site.refuse(level.latent, MIXED, reason)
            plans.append(made)
            nodes.append(replace(made.node, reads=(*made.node.reads, *([source] if source else []))))
        return self._whole(value, plans, tuple(nodes), site)

    def _read(self, level: Level, i: int, value: Value, site: Site) -> tuple[Value, str | None]:
        """What a level reads of the encoder, and by which key."""
        taps = site.stage.taps
        if level.source is None and i == 0:
            return value, None
        if level.source is not None and level.source in taps:
            return taps[level.source], level.source
        what = "names no step of the encoder" if level.source is None else f"reads {level.source!r}, which the encoder does not have"
        first = next(iter(taps), None)
        return site.refuse(level, NO_TAP, f"level {i} {what}; there are {', '.join(taps) or 'none'}", "source",
                           fix=f"from: {first}" if first else Hint("an encoder with steps"))

    def _whole(self, value: Value, plans: list[LatentPlan], nodes: tuple[Node, ...], site: Site) -> LatentPlan:
        size = sum(elements(plan.code) for plan in plans)
        code, codes = Vector(size), [plan.codes for plan in plans]
        joins = tuple(LevelPlan(f"{site.path}.{i}", plan.code, self.levels[i].to, self.levels[i].place("to"))
                      for i, plan in enumerate(plans) if i)
        indices = Tokens(sum(each.length for each in codes if isinstance(each, Tokens)),
                         max((each.classes for each in codes if isinstance(each, Tokens)), default=1))
        discrete = [isinstance(each, Tokens) for each in codes]
        kinds = {"discrete": all(discrete)} | ({"mixed": True} if any(discrete) and not all(discrete) else {})
        whole = Vector(sum(each.length if isinstance(each, Tokens) else elements(each) for each in codes))
        node = Node(site.path, "levels", value, code, self, kinds, children=nodes)
        refusals = {key: why for plan in plans for key, why in plan.refusals.items()}
        if len(plans) > 1:
            refusals["interpolate before the bottleneck"] = "its levels read several steps of the encoder, not one place"
        return LatentPlan(node=node, code=code, values=size, bits=sum(plan.bits for plan in plans),
                          codes=indices if node.args["discrete"] else whole, terms=tuple(_terms(plans)), players=tuple(_players(plans)),
                          refusals=refusals, start=Split().plan(code, plans[0].code, joins), levels=joins)

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The latents in their order."""
        from aebuild.modules.latent_levels import DiscreteLevels, MixedLevels
        from aebuild.modules.latent_levels import Levels as LevelsModule

        own = [child for child in node.children if child.kind != "above"]
        latents = [children[child.name] for child in own]
        above = [children.get(f"above_{i}") for i in range(len(own))]
        taps = [child.reads[-1] if child.reads else None for child in own]
        make = DiscreteLevels if node.args["discrete"] else MixedLevels if "mixed" in node.args else LevelsModule
        return make(latents, above, taps, [child.output.shape for child in own])  # type: ignore[arg-type]


def _planned(latent: Latent, read: Value, above: Value | None, site: Site) -> LatentPlan:
    """The latent of a level, whose prior may read the code above."""
    given = site.stage.given
    if above is not None:
        site.stage.given = (*given, Join("above", 0, elements(above), key="above", value=above))
    try:
        return latent.plan_latent(read, site)
    finally:
        site.stage.given = given


def _alone(latent: Latent, made: LatentPlan) -> str | None:
    """Why a latent cannot be this level of a code, if so."""
    if made.levels:
        return "a level has no levels of its own"
    if type(latent).meets is not Latent.meets:
        return f"a {latent.variant_name()} code shares weights with the decoder behind it, so it stands alone"
    if getattr(getattr(latent, "prior", None), "encodes", False):
        return "a prior made of the encoder's own codes belongs to a code without levels"
    return None


def _terms(plans: list[LatentPlan]) -> Iterator[TermPlan]:
    """Those of the levels under their own names; what priors learn in a phase of their own is one term."""
    learned = [term for plan in plans for term in plan.terms if term.name == "prior"]
    for i, plan in enumerate(plans):
        for term in plan.terms:
            if term.name != "prior":
                player = term.player if term.player == AUTOENCODER else f"{term.player}_{i}"
                yield replace(term, name=f"{term.name}_{i}", player=player)
    if learned:
        yield replace(learned[0], elements=sum(term.elements for term in learned))


def _players(plans: list[LatentPlan]) -> Iterator[Role]:
    learning = [role for plan in plans for role in plan.players if role.phase != "main"]
    for i, plan in enumerate(plans):
        yield from (replace(role, name=f"{role.name}_{i}") for role in plan.players if role.phase == "main")
    if learning:
        yield replace(learning[0], modules=tuple(path for role in learning for path in role.modules))

