"""Plan to module: plain nn.Modules whose state_dict keys are the plan's paths."""

from __future__ import annotations

import math
from typing import Any, cast

import torch
from torch import nn

from aebuild.compile.plan import HeadPlan, Plan
from aebuild.lang.families import Activation
from aebuild.lang.node import Buildable, Node
from aebuild.modules.answers import ColumnsHead
from aebuild.modules.autoencoder import Autoencoder, Head
from aebuild.modules.losses import Loss
from aebuild.modules.normalised_weight import NormalisedWeight
from aebuild.modules.patches import PatchScale
from aebuild.modules.randomness import derive
from aebuild.modules.stage import Stage


def build(plan: Plan, seed: int | None = None) -> Autoencoder:
    """The model with freshly drawn weights; each node's depend on the seed and its own path alone."""
    seed = plan.spec.train.seed if seed is None else seed
    penalties = {name: cast(Loss, build_node(penalty.node, seed)) for name, penalty in plan.penalties.items()}
    heads = {head.name: _head(head, build_node(head.node, seed)) for head in plan.heads}
    taps = {source.rsplit(".", 1)[1]: key for source, key in plan.taps.items()}
    encoder = build_node(plan.encoder, seed)
    assert isinstance(encoder, Stage)
    encoder.taps = taps
    decoder = build_node(plan.decoder, seed)
    assert isinstance(decoder, Stage)
    return Autoencoder(encoder, build_node(plan.latent.node, seed), decoder, _likelihood(plan), heads, penalties,
                       [(part.build_corruption(), part.when == "always") for part in plan.corruptions], plan.refusals)


def _likelihood(plan: Plan) -> nn.Module:
    part = plan.spec.losses.reconstruction
    module: Any = part.build_likelihood(plan.target, plan.bounds)
    if part.on == "masked":
        module.masked = True
    if part.normalize == "patch":
        module.patches = PatchScale(plan.spec.encoder.steps[0].sizes(plan.target.axes))  # type: ignore[attr-defined]
    return cast(nn.Module, module)


def _head(head: HeadPlan, network: nn.Module) -> Head:
    return ColumnsHead(network, head.source, head.name, head.columns) if head.columns else Head(network, head.source, head.name)


def build_node(node: Node, seed: int) -> nn.Module:
    """The module of a node and everything below it."""
    children = {child.name: build_node(child, seed) for child in node.children}
    part = node.part
    assert isinstance(part, Buildable)
    if node.sequential or (node.children and type(part).build is Buildable.build):
        return Stage(children)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive(seed, node.path))     # torch.manual_seed formats three stacks for absent devices
        module = part.build(node, children)
        if node.init is not None:
            initialise(module, node)
    return module


@torch.no_grad()
def initialise(module: nn.Module, node: Node) -> None:
    """Draws `weight` to suit the nonlinearity behind it and clears `bias`."""
    weight = module.weight
    assert isinstance(weight, torch.Tensor)
    kind, spread = initial(weight, node)
    if kind == "normal":
        weight.normal_(0, spread)
    else:
        weight.uniform_(-1, 1).mul_(spread)
    if isinstance(getattr(module, "bias", None), torch.Tensor):
        module.bias.zero_()  # type: ignore[operator]
    if isinstance(module, NormalisedWeight):
        module.settle()


def initial(weight: torch.Tensor, node: Node) -> tuple[str, float]:
    """How a node's weight is drawn: `normal` with this deviation, or `uniform` within plus and minus this.

    Rectifiers: normal with variance gain²/fan_in (He et al., 2015). Others: uniform with variance 2·gain²/(fan_in + fan_out)
    (Glorot and Bengio, 2010). A transposed convolution's fan-in counts the taps that meet at one place.
    """
    assert node.init is not None
    taps = math.prod(weight.shape[2:])
    fan_in, fan_out = weight.shape[1] * taps, weight.shape[0] * taps / node.args.get("groups", 1)
    if node.kind == "conv_transpose":
        fan_in, fan_out = weight.shape[0] * taps / node.args["groups"] / math.prod(node.args["stride"]), weight.shape[1] * taps
    activation = getattr(node.part, "activation", None)
    slope = activation.slope if isinstance(activation, Activation) else 0.0
    gain = nn.init.calculate_gain(cast(Any, node.init), slope if node.init == "leaky_relu" else None)
    if node.init in ("relu", "leaky_relu"):
        return "normal", gain / math.sqrt(fan_in)
    return "uniform", gain * math.sqrt(6 / (fan_in + fan_out))
