"""The built module measured on the meta device against its plan, node by node."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from aebuild.compile.plan import Plan
from aebuild.lang.node import Node
from aebuild.lang.values import Tokens
from aebuild.modules.autoencoder import Autoencoder
from aebuild.modules.outputs import Batch
from aebuild.results.part_laws.trial import on_meta

BATCH = 2
Shapes = tuple[tuple[int, ...], tuple[int, ...] | None]


def compare(plan: Plan) -> list[str]:
    """Every difference between the plan and the module."""
    model = on_meta(plan)
    return [*_state(plan, model), *_reconstruction(plan, model), *_others(plan, model)]


def _state(plan: Plan, model: Autoencoder) -> list[str]:
    wanted = {f"{node.path}.{name}": tuple(shape) for node in plan.nodes() for name, shape in {**node.weights, **node.buffers}.items()}
    wanted |= {f"likelihood.{name}": tuple(shape) for name, shape in {**plan.output.weights, **plan.output.buffers}.items()}
    found = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    problems = [f"{name}: planned {wanted.get(name)}, built {found.get(name)}" for name in sorted(wanted | found)
                if wanted.get(name) != found.get(name)]
    params = sum(parameter.numel() for parameter in model.parameters())
    return problems if params == plan.params else [*problems, f"{plan.params} parameters planned, {params} built"]


def _reconstruction(plan: Plan, model: Autoencoder) -> list[str]:
    x = torch.empty(BATCH, *plan.input.shape, device="meta", dtype=torch.long if isinstance(plan.input, Tokens) else torch.float32)
    told = torch.empty(BATCH, plan.conditions, device="meta") if plan.conditions else None
    truth = torch.empty(BATCH, *plan.target.shape, device="meta", dtype=torch.long if isinstance(plan.target, Tokens) else torch.float32)
    at_once = any(node.kind == "autoregression" for node in plan.decoder.walk())      # else place by place, with all kept keys anew

    def computed() -> Tensor:
        return model.run(Batch(x, truth, conditions=told)).reconstruction if at_once else model(x, told)

    with _without_divergence(model), _unled(model):
        shapes, macs, out = _run(model, plan, computed)
    problems = _compare_nodes(plan, shapes, macs)
    if tuple(out.shape) != (BATCH, *plan.target.shape):
        problems.append(f"the output is {tuple(out.shape[1:])}, the target {plan.target}")
    if macs[""] != plan.macs:
        problems.append(f"{plan.macs} MACs planned, {macs['']} counted")
    return problems


@contextmanager
def _without_divergence(model: Autoencoder) -> Iterator[None]:
    """While entered, codes are not compared to a prior, which a reconstruction does not need."""
    prior = model.latent.prior
    prior.divergence = lambda posterior, value, closed=True: value
    try:
        yield
    finally:
        del prior.divergence


@contextmanager
def _unled(model: Autoencoder) -> Iterator[None]:
    """While entered, draws of the posterior take no steps along the likelihood, which the plan counts once: as decoding."""
    if not model.latent.follows:
        yield
        return
    posterior = model.latent.posterior
    steps, posterior.steps = posterior.steps, 0
    try:
        yield
    finally:
        posterior.steps = steps


def _others(plan: Plan, model: Autoencoder) -> list[str]:
    """Heads and critics, which a reconstruction does not run."""
    code = torch.empty(BATCH, *plan.latent.code.shape, device="meta")
    problems = []
    for head in plan.heads:
        value = code if head.source == "latent" else torch.empty(BATCH, *plan.encoder.output.shape, device="meta")
        shapes, macs, _ = _run(model, plan, lambda name=head.name, value=value: model.heads[name](value))
        problems += _compare_nodes(plan, shapes, macs)
    for critic in (node for node in plan.nodes() if node.aside and node.sequential):
        module, given = model.get_submodule(critic.path), torch.empty(BATCH, *critic.input.shape, device="meta")
        context = {"conditions": torch.empty(BATCH, plan.conditions, device="meta")}
        shapes, macs, _ = _run(model, plan, lambda module=module, given=given, context=context: module(given, context))
        problems += _compare_nodes(plan, shapes, macs)
    return [*problems, *_prior(plan, model)]


def _prior(plan: Plan, model: Autoencoder) -> list[str]:
    """What the surprise of a learned prior at codes costs; one that is made of posteriors, has no density or remembers is not counted."""
    node = next((node for node in plan.latent.node.children if node.name == "prior"), None)
    if node is None or not node.macs or any("gru" in name for name in node.weights) or getattr(node.part, "bends", False):
        return []
    kind = plan.latent.codes
    codes = torch.empty(BATCH, *kind.shape, device="meta", dtype=torch.long if isinstance(kind, Tokens) else torch.float32)
    counter = FlopCounterMode(display=False)
    with counter:
        model.latent.prior.surprise(codes)
    return [] if _counted(counter) == node.macs else [f"{node.path}: {node.macs} MACs planned, {_counted(counter)} counted"]


def _run(model: nn.Module, plan: Plan, call: Any) -> tuple[dict[str, Shapes], dict[str, int], Tensor]:
    """Shapes and counted MACs of each planned module that the call runs."""
    planned = {node.path for node in plan.nodes()}
    shapes: dict[str, Shapes] = {}
    macs: dict[str, int] = {}
    counter = FlopCounterMode(display=False)
    hooks = []
    for name, module in model.named_modules():
        if name in planned:
            hooks += [module.register_forward_pre_hook(_begin(macs, counter, name)),
                      module.register_forward_hook(_end(shapes, macs, counter, name))]
    with counter:
        out = call()
    for hook in hooks:
        hook.remove()
    return shapes, macs | {"": _counted(counter)}, out


def _counted(counter: FlopCounterMode) -> int:
    return counter.get_total_flops() // (2 * BATCH)


def _begin(macs: dict[str, int], counter: FlopCounterMode, name: str) -> Any:
    def hook(module: nn.Module, args: tuple[Any, ...]) -> None:
        macs[name] = macs.get(name, 0) - _counted(counter)
    return hook


def _end(shapes: dict[str, Shapes], macs: dict[str, int], counter: FlopCounterMode, name: str) -> Any:
    def hook(module: nn.Module, args: tuple[Any, ...], out: Any) -> None:
        macs[name] += _counted(counter)
        out = getattr(out, "value", out)
        if isinstance(args[0], Tensor):
            shapes[name] = (tuple(args[0].shape[1:]), tuple(out.shape[1:]) if isinstance(out, Tensor) else None)
    return hook


def _compare_nodes(plan: Plan, shapes: dict[str, Shapes], macs: dict[str, int]) -> list[str]:
    nodes = {node.path: node for node in plan.nodes()}
    problems = []
    for path, (given, made) in shapes.items():
        node = nodes[path]
        if node.aside and not node.sequential:         # a posterior, prior or loss: what it takes is its owner's business
            continue
        looped = ".tail." in path                  # runs position by position, so that lengths are 1
        if _shape(given, looped) != _shape(node.input.shape, looped):
            problems.append(f"{path} takes {given}, planned {node.input}")
        if made is not None and _shape(made, looped) != _shape(node.output.shape, looped):
            problems.append(f"{path} gives {made}, planned {node.output}")
        if macs.get(path, 0) != _running(node):
            problems.append(f"{path}: {_running(node)} MACs planned, {macs.get(path, 0)} counted")
    return problems


def _shape(shape: tuple[int, ...], looped: bool) -> tuple[int, ...]:
    return shape[1:] if looped else tuple(shape)


def _running(node: Node) -> int:
    """The MACs of a node where it runs: of one that stands aside all, of others without what stands aside in them."""
    return node.all_macs if node.aside else node.reconstruction_macs
