"""Batches that a layer cannot take."""

from __future__ import annotations

from math import prod

from aebuild.compile.plan import Plan
from aebuild.lang.dataset import DataInfo
from aebuild.lang.diagnostics import Diagnostic, Rule

ALONE = Rule("AE333", "batch normalisation of a single value", """\
Batch normalisation takes each feature's mean and variance over the samples of a batch and the places of a grid or sequence. A batch of one
vector has nothing to take a variance of.

```yaml
encoder: {layer: linear, width: 64, norm: batch}
train: {batch_size: 1}
```
```yaml
encoder: {layer: linear, width: 64, norm: layer}
train: {batch_size: 1}
```
""")


def check_batches(plan: Plan, info: DataInfo) -> list[Diagnostic]:
    """An error if some batch gives a batch normalisation one value a feature."""
    smallest = min(phase.batch_size for phase in plan.phases)
    if smallest > 1 and info.counts.get("train") != 1:
        return []
    node = next((node for node in plan.nodes() if node.kind == "batch_norm" and prod(node.input.places) == 1), None)
    if node is None:
        return []
    what = "batches of one sample" if smallest == 1 else "one training sample"
    return [Diagnostic(ALONE, f"{node.path} normalises over the batch, but there are {what}", node.part.place(), "norm: layer", node.path)]
