"""Normalisations of a single value, which leave nothing of it."""

from __future__ import annotations

from math import prod

from aebuild.compile.plan import Plan
from aebuild.lang.dataset import DataInfo
from aebuild.lang.diagnostics import Diagnostic, Rule, Span
from aebuild.lang.node import Node

SINGLE = Rule("AE333", "normalisation of a single value", """\
A normalisation takes mean and variance over several values: batch normalisation over the samples of a batch and the places of a grid
or sequence, layer and group normalisation over the features of a sample. A single value minus its own mean is zero, whatever it was:
everything in front of the norm is erased.

```yaml
encoder: {layer: linear, width: 64, norm: batch}
train: {batch_size: 1}
```
```yaml
encoder: {layer: linear, width: 64, norm: layer}
train: {batch_size: 1}
```
""")


def check_single(plan: Plan, info: DataInfo) -> list[Diagnostic]:
    """An error at the first norm of each sort that gets a single value."""
    alone = info.counts.get("train") == 1 or min(phase.batch_size for phase in plan.phases) == 1
    found: dict[str, Diagnostic] = {}
    for node in plan.nodes():
        if node.kind == "batch_norm" and alone and prod(node.input.places) == 1:
            what, fix = f"{node.path} normalises over the batch, but there are batches of one sample", "norm: layer"
        elif node.kind in ("layer_norm", "group_norm") and values_in(node) == 1:
            what, fix = f"{node.path} normalises single values of {node.input}", "remove norm"
        else:
            continue
        found.setdefault(node.kind, Diagnostic(SINGLE, what, _written(node, plan), fix, node.path))
    return list(found.values())


def _written(node: Node, plan: Plan) -> Span | None:
    """Where the norm was written, or what it belongs to."""
    owners = [each for each in plan.nodes() if f"{node.path}.".startswith(f"{each.path}.")]
    return next((span for each in reversed(owners) if (span := each.part.place()) is not None), None)


def values_in(node: Node) -> int:
    """How many values of a sample a layer or group normalisation takes together."""
    places = prod(node.input.places) if node.input.axes else 1
    return node.input.features // int(node.args.get("groups", 1)) * places
