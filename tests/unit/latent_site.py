"""A site for planning latents without the compiler, and the module of a plan."""

from __future__ import annotations

from math import prod
from typing import Any

from torch import nn

from aebuild.lang.families import Latent, Layer
from aebuild.lang.node import Node, Site
from aebuild.lang.node import Stage as SiteStage
from aebuild.lang.part import Part
from aebuild.lang.values import Value, Vector
from aebuild.modules.latent import Latent as LatentModule
from aebuild.modules.stage import Stage
from aebuild.parts import discover

discover()


class Flat(Part):
    """Stands in for the compiler's flatten."""

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        return nn.Flatten()


def adapt(value: Value, kinds: tuple[str, ...], site: Site, layer: Layer | None) -> tuple[tuple[Node, ...], Value]:
    if value.kind in kinds:
        return (), value
    flat = Vector(prod(value.shape))
    return (Node(f"{site.path}.flatten", "flatten", value, flat, Flat(), inserted=True),), flat


def chain(steps: Any, value: Value, site: Site) -> tuple[tuple[Node, ...], Value]:
    nodes: tuple[Node, ...] = ()
    for i, step in enumerate(steps):
        nodes += (step.plan(value, site.at(str(i))),)
        value = nodes[-1].output
    return nodes, value


def site() -> Site:
    return Site("latent", SiteStage(), False, chain, adapt)


def built(node: Node) -> Any:
    children = {child.name: built(child) for child in node.children}
    return Stage(children) if node.sequential else node.part.build(node, children)  # type: ignore[attr-defined]


def latent_of(part: Latent, value: Value) -> LatentModule:
    module: LatentModule = built(part.plan_latent(value, site()).node)
    return module


def planned_state(node: Node) -> dict[str, tuple[int, ...]]:
    """Every name of the state_dict with its shape, as the plan has it."""
    state = {}
    for each in node.walk():
        for name, shape in {**each.weights, **each.buffers}.items():
            state[f"{each.path}.{name}".removeprefix("latent.")] = shape
    return state
