"""Batch normalisation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from aebuild.lang.families import Norm
from aebuild.lang.lint import Finding, Surroundings, warning
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.values import Value

if TYPE_CHECKING:
    from torch import nn


BATCH_NORM_KL = warning("AE203", "batch normalisation beside a KL term", """\
Batch normalisation makes a sample's posterior depend on the rest of its batch, and the noise of the batch statistics adds to the noise of
the posterior: the KL term then measures something else in training than in evaluation. Layer or group normalisation does not mix samples.

```yaml
encoder: {layer: linear, width: 256, norm: batch}
latent: {type: gaussian, dim: 16}
```
```yaml
encoder: {layer: linear, width: 256, norm: layer}
latent: {type: gaussian, dim: 16}
```
""")


class Batch(Norm):
    """Normalises each channel over the batch (Ioffe and Szegedy, 2015)."""

    type: Literal["batch"] = "batch"
    example = "encoder: [linear: {width: 8, norm: {type: batch, momentum: 0.2, eps: 0.001}}]"
    also = ("batch_norm", "batchnorm1d", "batchnorm2d", "bn", "batch_normalization")
    momentum: float = knob(0.1, "share of a new batch in the running statistics", affects="training", gt=0, le=1)
    eps: float = knob(1e-5, "added to the variance", affects="gradient", gt=0)

    def lint(self, node: Node | None, around: Surroundings) -> Iterator[Finding]:
        """Beside a KL term it makes a sample's posterior depend on its batch."""
        if node is not None and around.weights.get("kl"):
            yield BATCH_NORM_KL, f"batch normalisation at {node.path}, and the loss has a KL term", self, "norm: layer"

    def plan(self, value: Value, site: Site) -> Node:
        """A scale and a shift per channel; running statistics are buffers."""
        f = value.features
        return Node(site.path, "batch_norm", value, value, self, {"features": f, "kind": value.kind, "axes": len(value.places)},
                    weights={"weight": (f,), "bias": (f,)},
                    buffers={"running_mean": (f,), "running_var": (f,), "num_batches_tracked": ()})

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """torch's BatchNorm of the right rank; a sequence is normalised with its features as channels."""
        from torch import nn

        from aebuild.modules.shapes import SequenceBatchNorm

        kinds = (nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
        kind = SequenceBatchNorm if node.input.series_length is not None else kinds[node.args["axes"]]
        return kind(node.args["features"], eps=self.eps, momentum=self.momentum)
