"""Models of series from a few lines of YAML, and the laws that each plan is held to."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from aebuild.compile.bind import bind
from aebuild.compile.build import build
from aebuild.compile.desugar import lengthen
from aebuild.compile.plan import Plan
from aebuild.compile.planner import plan
from aebuild.lang.dataset import DataInfo
from aebuild.lang.diagnostics import Diagnostic
from aebuild.lang.samples import ConditionInfo
from aebuild.lang.source import read
from aebuild.lang.values import Range, Sequence, Value
from aebuild.modules.autoencoder import Autoencoder
from aebuild.modules.outputs import Batch
from aebuild.parts import discover

discover()

SERIES = Sequence(7, 3)


def planned(encoder: str, decoder: str, *, dim: int = 4, value: Value = SERIES, extra: str = "", latent: str = "",
            conditions: tuple[ConditionInfo, ...] = ()) -> tuple[Plan | None, list[Diagnostic]]:
    """The plan for data of this type and the findings; extra lines may follow."""
    text = f"data: digits\nencoder: {encoder}\nlatent: {{type: continuous, dim: {dim}{latent}}}\ndecoder: {decoder}\n{extra}"
    tree, found = read(text, "test.yaml")
    assert tree is not None, found
    spec, found = bind(lengthen(tree, lambda path: "table"))
    if spec is None:
        return None, found
    info = DataInfo(value, value, Range(), Range(), "standard", {"train": 100}, "made up", conditions=conditions)
    result = plan(spec, info)
    return result.plan, result.diagnostics


def plan_of(encoder: str, decoder: str, **options: Any) -> Plan:
    made, found = planned(encoder, decoder, **options)
    assert made is not None, found
    return made


def model_of(encoder: str, decoder: str, **options: Any) -> Autoencoder:
    return build(plan_of(encoder, decoder, **options), seed=1)


def refusal(encoder: str, decoder: str, **options: Any) -> Diagnostic:
    """The one error of a spec that cannot be planned."""
    made, found = planned(encoder, decoder, **options)
    errors = [diagnostic for diagnostic in found if diagnostic.is_error]
    assert made is None
    assert len(errors) == 1, errors
    return errors[0]


def underlined(diagnostic: Diagnostic) -> str:
    """The text that the diagnostic's span covers."""
    span = diagnostic.span
    assert span is not None
    assert span.line == span.end_line
    return span.text.lines[span.line - 1][span.column - 1:span.end_column - 1]


def counted_macs(model: Autoencoder, value: Value, batch: int = 2) -> float:
    """Multiply-accumulates of one reconstruction, counted on the meta device."""
    model = model.to("meta").eval()
    with FlopCounterMode(display=False) as counter:
        model.reconstruct(torch.empty(batch, *value.shape, device="meta"))
    return counter.get_total_flops() / 2 / batch


def check_laws(encoder: str, decoder: str, **options: Any) -> None:
    """Names, shapes, parameters, MACs, types and gradients of the built model are those of the plan."""
    value = options.get("value", SERIES)
    made = plan_of(encoder, decoder, **options)
    model = build(made, seed=1)
    shapes = {f"{node.path}.{name}": shape for node in made.nodes() for name, shape in {**node.weights, **node.buffers}.items()}
    assert {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()} == shapes
    x = torch.randn(5, *value.shape, generator=torch.Generator().manual_seed(0))
    assert model.reconstruct(x).shape == x.shape
    terms, _ = model.train().terms(Batch(x, x))
    terms["reconstruction"].sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name
    assert sum(p.numel() for p in model.parameters()) == made.params
    assert counted_macs(model, value) == made.macs
