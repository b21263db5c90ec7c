"""`skip: true`: a skip wherever the decoder reaches the size of an encoder step."""

from __future__ import annotations

from collections.abc import Sequence as Seq

from aebuild.compile.chain import plan_step
from aebuild.lang.families import Layer
from aebuild.lang.node import Node, Site
from aebuild.lang.values import Value


def add_skips(steps: Seq[Layer], value: Value, site: Site) -> tuple[tuple[Node, ...], Value]:
    """Plans the steps one by one; behind each, joins the latest unused encoder output of equal places."""
    nodes: list[Node] = []
    unused = dict(site.stage.taps)
    for i, step in enumerate(steps):
        planned, value = plan_step(step, value, site.at(str(i), final=site.final and i == len(steps) - 1))
        nodes += planned
        fitting = [path for path, tap in unused.items() if tap.kind == value.kind and tap.places == value.places and value.places]
        if not fitting:
            continue
        for path in fitting:
            del unused[path]
        skip = Layer.named("skip", **{"from": fitting[-1]})
        node = skip.plan(value, site.at(f"{i}_skip")).marked_inserted()
        nodes.append(node)
        value = node.output
    return tuple(nodes), value
