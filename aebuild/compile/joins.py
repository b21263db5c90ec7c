"""Where conditions are told to a list of layers: at its input, or behind each hidden layer."""

from __future__ import annotations

import re
from dataclasses import replace

from aebuild.lang.conditioning import ENCODER, KEY, ConditionEncoding, Join, plan_encoder
from aebuild.lang.node import Node, Site
from aebuild.lang.values import Value, elements


def join_input(value: Value, site: Site, base: str) -> tuple[list[Node], Value]:
    """The nodes of all conditions that are told at the input, once in a list of layers."""
    nodes: list[Node] = []
    if site.stage.joined:
        return nodes, value
    site.stage.joined = True
    encoders = [_encoded(join, value, site, base) for join in site.stage.joins if join.encoder]
    nodes += [node for node, _ in encoders]
    read = {join.name: join for _, join in encoders}
    site.stage.joins = tuple(read.get(join.name, join) for join in site.stage.joins)
    joins = [join for join in site.stage.joins if join.by.at_input]
    if joins and value.dtype == "int64":                     # of tokens there are no features to stand beside
        adapters, value = site.adapt(value, ("sequence",), site, None)
        nodes += adapters
    for join in joins:
        nodes.append(_joined(join, value, site, base))
        value = nodes[-1].output
    return nodes, value


def join_behind(node: Node, followed: bool, site: Site, base: str) -> tuple[list[Node], Value]:
    """The nodes of conditions that are told behind a hidden layer: one with weights, and the norm and activation that follow it."""
    nodes, value, stage = [], node.output, site.stage
    if not stage.joins:
        return [], value
    stage.hidden = stage.hidden or node.params > 0
    if followed or not stage.hidden:
        return [], value
    stage.hidden = False
    for join in site.stage.joins:
        if not join.by.at_input and join.by.fits(value):
            nodes.append(_joined(join, value, site, base))
            value = nodes[-1].output
    return nodes, value


def _encoded(join: Join, value: Value, site: Site, base: str) -> tuple[Node, Join]:
    """The node of a condition's own layers, which gives the value back as it is, and the condition as the network is told it from there."""
    assert join.value is not None
    path = f"{base}encode_{join.word}"
    network = plan_encoder(join, replace(site, path=f"{path}.network"))
    key, told = f"{site.stage.top}.{KEY}.{join.word}", network.output
    args = {"name": join.name, "first": join.first, "last": join.last, "shape": list(join.value.shape)}
    node = Node(path, ENCODER, value, value, ConditionEncoding(), args, inserted=True, children=(network,), reads=(join.key,),
                writes=(key,))
    return node, replace(join, first=0, last=elements(told), key=key, value=told, encoder=())


def _joined(join: Join, value: Value, site: Site, base: str) -> Node:
    """The node of one condition at one place."""
    assert join.by is not None
    path = f"{base}condition_{join.word}"
    join.sites.append(path)
    return join.by.plan_conditioning(value, join, replace(site, path=path))


def path_word(name: str) -> str:
    """A condition's name as a word of a path."""
    return re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") or "unnamed"
