"""Sparse codes: which units of a projection are active, and by how much."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aebuild.modules.collectives import gathered, whole
from aebuild.modules.losses import LossFunction
from aebuild.modules.outputs import Outputs

Found = tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]       # code, raw terms, what losses read later


class Sparsifier(nn.Module):
    """Pre-activations [N, *shape] with features on `axis` to a code of the same shape, never negative, mostly zero."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, pre: Tensor, bias: Tensor | None) -> Found:
        """The code, terms, and what `losses` read later; `bias` is what the projection added."""
        raise TypeError(f"{type(self).__name__} has no forward")

    def losses(self) -> dict[str, LossFunction]:
        """Terms that want the whole pass."""
        return {}

    def beginnings(self) -> list[tuple[nn.Parameter, float]]:
        """Its own numbers of each unit, [D], and where they begin."""
        return []

    def along(self, units: Tensor, like: Tensor) -> Tensor:
        """A number a unit, [D], as it is added to a code."""
        return units.view(-1, *(1,) * (like.ndim - 1 - self.axis % like.ndim))


class Rectified(Sparsifier):
    """What is positive."""

    def forward(self, pre: Tensor, bias: Tensor | None) -> Found:
        """No terms."""
        return F.relu(pre), {}, {}


def largest(pre: Tensor, k: int, axis: int) -> Tensor:
    """The `k` largest values along an axis where they are positive, elsewhere zero."""
    values, places = pre.topk(k, axis, sorted=False)
    return torch.zeros_like(pre).scatter(axis, places, F.relu(values))


class TopK(Sparsifier):
    """The `k` largest units of each sample, at each place (Makhzani and Frey, 2013)."""

    def __init__(self, axis: int, k: int) -> None:
        super().__init__(axis)
        self.k = k

    def forward(self, pre: Tensor, bias: Tensor | None) -> Found:
        """No terms."""
        return largest(pre, self.k, self.axis), {}, {}


class BatchTopK(Sparsifier):
    """The largest units of a batch, `k` a sample and place on average (Bussmann et al., 2024).

    Evaluation knows no batch: there a unit is active above `threshold`, the running mean of the smallest value that training kept.
    """

    threshold: Tensor
    steps: Tensor

    def __init__(self, axis: int, k: int, decay: float) -> None:
        super().__init__(axis)
        self.k, self.decay = k, decay
        self.register_buffer("threshold", torch.zeros(()))
        self.register_buffer("steps", torch.zeros(()))

    def forward(self, pre: Tensor, bias: Tensor | None) -> Found:
        """No terms."""
        if not self.training:
            return F.relu(pre) * (pre > self.threshold / (1 - self.decay ** self.steps).clamp(min=torch.finfo(pre.dtype).tiny)), {}, {}
        with torch.no_grad():
            kept = self.k * whole(len(pre)) * pre[0].numel() // pre.shape[self.axis]
            least = gathered(pre.detach()).flatten().topk(kept, sorted=False).values.min().clamp(min=0)
            self.threshold.lerp_(least.to(self.threshold.dtype), 1 - self.decay)
            self.steps.add_(1)
        return F.relu(pre) * (pre >= least), {}, {}


class _Step(torch.autograd.Function):
    """1 where x is above the threshold, whose gradient is that of a rectangular kernel (Rajamanoharan et al., 2024b)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, threshold: Tensor, bandwidth: float) -> Tensor:
        ctx.save_for_backward(x, threshold)
        ctx.bandwidth = bandwidth
        return (x > threshold).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor, None]:
        x, threshold = ctx.saved_tensors
        near = ((x - threshold).abs() < ctx.bandwidth / 2).to(grad.dtype)
        return None, (-grad * near / ctx.bandwidth).sum_to_size(threshold.shape), None


class _Jump(torch.autograd.Function):
    """x where it is above the threshold, else 0."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, threshold: Tensor, bandwidth: float) -> Tensor:
        ctx.save_for_backward(x, threshold)
        ctx.bandwidth = bandwidth
        return x * (x > threshold)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        x, threshold = ctx.saved_tensors
        near = ((x - threshold).abs() < ctx.bandwidth / 2).to(grad.dtype)
        pull = -grad * near * threshold / ctx.bandwidth
        return grad * (x > threshold), pull.sum_to_size(threshold.shape), None


class JumpReLU(Sparsifier):
    """What is above a learned threshold of each unit; the term `l0` counts the active units (Rajamanoharan et al., 2024b).

    `log_threshold` is [D]. It learns from the samples within half a `bandwidth` of it.
    """

    def __init__(self, axis: int, units: int, threshold: float, bandwidth: float) -> None:
        super().__init__(axis)
        self.bandwidth = bandwidth
        self.beginning = math.log(threshold)
        self.log_threshold = nn.Parameter(torch.full((units,), self.beginning))

    def beginnings(self) -> list[tuple[nn.Parameter, float]]:
        """The thresholds."""
        return [(self.log_threshold, self.beginning)]

    def forward(self, pre: Tensor, bias: Tensor | None) -> Found:
        """With the number of active units, one or none for each value."""
        threshold = self.along(self.log_threshold.exp(), pre)
        code: Tensor = _Jump.apply(pre, threshold, self.bandwidth)  # type: ignore[no-untyped-call]
        active: Tensor = _Step.apply(pre.detach(), threshold, self.bandwidth)  # type: ignore[no-untyped-call]
        return code, {"l0": active}, {}


class Gated(Sparsifier):
    """A gate says which units are active, the rest how much (Rajamanoharan et al., 2024a).

    Both share the projection; the size is rescaled by exp(`scale`) and has a `bias` of its own, [D] each.
    """

    shardable = False

    def __init__(self, axis: int, units: int) -> None:
        super().__init__(axis)
        self.scale, self.bias = nn.Parameter(torch.zeros(units)), nn.Parameter(torch.zeros(units))

    def beginnings(self) -> list[tuple[nn.Parameter, float]]:
        """Scales and biases of the sizes."""
        return [(self.scale, 0.0), (self.bias, 0.0)]

    def forward(self, pre: Tensor, bias: Tensor | None) -> Found:
        """With the gate's positive part as `gate`."""
        assert bias is not None, "the projection has a bias"
        bare = pre - self.along(bias, pre)
        size = F.relu(bare * self.along(self.scale.exp(), pre) + self.along(self.bias, pre))
        opening = F.relu(pre)
        return size * (pre > 0), {"gate": opening}, {"opening": opening}

    def losses(self) -> dict[str, LossFunction]:
        """What the gate alone would reconstruct."""
        return {"gate_reconstruction": self.through_the_gate}

    def through_the_gate(self, outputs: Outputs) -> Tensor:
        """The reconstruction term of the gate's positive part; the decoder does not learn from it."""
        assert outputs.decoder is not None, "nothing was decoded in this pass"
        with frozen(outputs.decoder()):
            return outputs.judged(outputs.code.beside["opening"])


@contextmanager
def frozen(weights: Iterable[Tensor]) -> Iterator[None]:
    """While entered, nothing that is computed sends a gradient to these weights."""
    moving = [weight for weight in weights if weight.requires_grad]
    for weight in moving:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in moving:
            weight.requires_grad_(True)
