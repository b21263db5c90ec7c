"""Floating-point operations of a training step, read off the plan."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import TYPE_CHECKING

from aebuild.lang.terms import Penalty
from aebuild.trainer.players import under

if TYPE_CHECKING:
    from aebuild.compile.plan import PhasePlan, Plan, PlayerPlan
    from aebuild.lang.node import Node


def step_flops(plan: Plan, phase: PhasePlan) -> int:
    """Operations of all updates from one sample: matrix products and convolutions, forward and backward, two for each MAC.

    A product costs as much again for the gradient of its weights where these are trained, and as much again for that of its
    input where something before it is trained. What is computed twice to save memory counts once; optimisers, norms and
    activations count nothing.
    """
    return sum(2 * player.steps * _turn(plan, phase, player) for player in phase.players)


def _turn(plan: Plan, phase: PhasePlan, player: PlayerPlan) -> int:
    if phase.pair is not None:
        return _pair(plan, phase.pair, player)
    judge = plan.latent.discriminator
    path = Path(plan, player)
    path.run([plan.encoder, plan.latent.node])
    if player.name == "autoencoder":
        path.run([plan.decoder, *(head.node for head in plan.heads)])
        twice = [config for config in plan.spec.losses.terms.values() if isinstance(config, Penalty) and config.views == 2]
        return path.macs + len(twice) * Path(plan, player).run([plan.encoder, plan.latent.node])
    assert judge is not None, "only an adversarial latent has other players"
    if player.name == "generator":
        return path.run([judge])
    return path.macs + 2 * Path(plan, player).run([judge])      # draws of the prior, and codes cut off from the encoder


def _pair(plan: Plan, pair: tuple[int, str], player: PlayerPlan) -> int:
    depth, target = pair
    down, up = _groups(plan.encoder), _groups(plan.decoder)
    outer = [node for group in down[:depth] for node in group]
    undo = len(up) - 1 - depth
    path = Path(plan, player)
    if plan.spec.corrupt and target == "code" and depth:
        path.run(outer)                                         # the clean target
    path.run([*outer, *(down[depth] if depth < len(down) else [plan.latent.node]), *up[undo]])
    if target == "input" or not depth:
        path.run([node for group in up[undo + 1:] for node in group])
    return path.macs


def _groups(half: Node) -> list[list[Node]]:
    """The nodes of each written step, adapters in front of it included."""
    found: dict[str, list[Node]] = {}
    for child in half.children:
        found.setdefault(child.name.split("_")[0], []).append(child)
    return list(found.values())


def _carried(node: Node) -> float:
    """The share of a recurrent layer's products that take its own state, whose gradient is needed wherever it stands."""
    sizes = {name: prod(shape) for name, shape in node.weights.items() if len(shape) > 1}
    return sum(size for name, size in sizes.items() if name.startswith("weight_hh")) / max(1, sum(sizes.values()))


class Path:
    """The way of one sample through nodes in a player's turn, and what it costs in MACs, backward included."""

    def __init__(self, plan: Plan, player: PlayerPlan) -> None:
        self.macs = 0
        self._plan, self._trained = plan, player.modules
        self._live = False                                      # a gradient flows back to where the path stands

    def run(self, nodes: Iterable[Node]) -> int:
        """Adds these nodes; returns the cost so far."""
        latent = self._plan.latent
        for node in nodes:
            self.run(child for child in node.children if child is not latent.discriminator)
            trained = any(under(f"{node.path}.{name}", self._trained) for name in node.weights)
            if node is latent.node:
                self.macs += node.macs                          # a search among codes, which has no gradient
            elif node.weights:
                self.macs += round(node.macs * (1 + trained + (1.0 if self._live else _carried(node) * trained)))
            else:
                self.macs += node.macs * (3 if self._live else 1)      # a product of two values, both with a gradient
            self._live = self._live or trained
        return self.macs
