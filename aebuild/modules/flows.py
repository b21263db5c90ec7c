"""Flows: invertible maps of vectors to noise, with the logarithms of their determinants."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from aebuild.modules.collectives import mean, variance
from aebuild.modules.masked_linear import MaskedLinear

WIDEST = 5.0         # of a logarithm of a scale, to which it is held softly
SMALL_SCALE = 0.01         # of the last layer's first weights, so that a flow begins near the identity


class Transform(nn.Module):
    """An invertible map of vectors [N, D]; both ways give what comes out and the log-determinant of what was done, [N]."""

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Towards noise."""
        raise TypeError(f"{type(self).__name__} has no forward")

    def inverse(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Away from noise."""
        raise TypeError(f"{type(self).__name__} has no inverse")


class Flow(Transform):
    """Transforms one after the other."""

    def __init__(self, transforms: Sequence[Transform]) -> None:
        super().__init__()
        self.transforms = nn.ModuleList(transforms)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The log-determinants add up."""
        total = torch.zeros(len(z), dtype=z.dtype, device=z.device)
        for transform in self.transforms:
            z, log_det = transform(z)
            total = total + log_det
        return z, total

    def inverse(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """From the last to the first."""
        total = torch.zeros(len(u), dtype=u.dtype, device=u.device)
        for transform in reversed(self.transforms):
            assert isinstance(transform, Transform)
            u, log_det = transform.inverse(u)
            total = total + log_det
        return u, total


class Inverted(Transform):
    """A transform the other way round."""

    def __init__(self, transform: Transform) -> None:
        super().__init__()
        self.transform = transform

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Its inverse."""
        return self.transform.inverse(z)

    def inverse(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Itself."""
        found: tuple[Tensor, Tensor] = self.transform(u)
        return found


class Reversal(Transform):
    """Turns the order of the values round."""

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Volume stays."""
        return z.flip(1), torch.zeros(len(z), dtype=z.dtype, device=z.device)

    def inverse(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """The same again."""
        return self.forward(u)


class Standardisation(Transform):
    """Mean 0 and standard deviation 1 of each value, as the first batch of a training has them (Kingma and Dhariwal, 2018)."""

    mean: Tensor
    scale: Tensor
    settled: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("scale", torch.ones(size))
        self.register_buffer("settled", torch.zeros((), dtype=torch.bool))
        self._open: bool | None = None             # None where the device must be asked

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._open = None

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The first batch in training mode settles mean and scale."""
        if self.training and not z.is_meta:
            if self._open is None:
                self._open = not bool(self.settled)
            if self._open:
                self._settle(z.detach())
        return (z - self.mean) / self.scale, -self.scale.log().sum().expand(len(z))

    @torch.no_grad()
    def _settle(self, z: Tensor) -> None:
        self.mean.copy_(mean(z))
        spread = variance(z).sqrt()
        self.scale.copy_(spread.clamp(min=1e-3 * float(spread.max()) + 1e-6))
        self.settled.fill_(True)
        self._open = False

    def inverse(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Back to the scale of the codes."""
        return u * self.scale + self.mean, self.scale.log().sum().expand(len(u))


class TransformCoupling(Transform):
    """Every other value is moved and scaled, by a network of the ones between them (Dinh et al., 2017: RealNVP).

    `first` is the place of the first value that is moved, 0 or 1.
    """

    moved: Tensor
    kept: Tensor

    def __init__(self, size: int, width: int, first: int) -> None:
        super().__init__()
        moved = torch.arange(first, size, 2)
        kept = torch.arange(1 - first, size, 2)
        self.register_buffer("moved", moved, persistent=False)
        self.register_buffer("kept", kept, persistent=False)
        self.network = nn.Sequential(nn.Linear(len(kept), width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
                                     nn.Linear(width, 2 * len(moved)))
        shrink(self.network[-1])

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """u = z·exp(s) + t."""
        shift, log_scale = affine(self.network(z[:, self.kept]))
        return z.index_copy(1, self.moved, z[:, self.moved] * log_scale.exp() + shift), log_scale.sum(1)

    def inverse(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """z = (u − t)·exp(−s), from the same s and t."""
        shift, log_scale = affine(self.network(u[:, self.kept]))
        return u.index_copy(1, self.moved, (u[:, self.moved] - shift) * (-log_scale).exp()), -log_scale.sum(1)


class MaskedAutoregressive(Transform):
    """Each value is moved and scaled by a network of those before it (Papamakarios et al., 2017: MAF).

    Towards noise all values at once; away from it one after the other.
    """

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.network = Made(size, width, 2)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """u = z·exp(s) + t."""
        shift, log_scale = affine(self.network(z))
        return z * log_scale.exp() + shift, log_scale.sum(1)

    def inverse(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """D passes, each of which makes one more value right."""
        z, total = torch.zeros_like(u), torch.zeros(len(u), dtype=u.dtype, device=u.device)
        for place in range(u.shape[1]):
            shift, log_scale = affine(self.network(z))
            found = (u[:, place] - shift[:, place]) * (-log_scale[:, place]).exp()
            z = torch.cat([z[:, :place], found.unsqueeze(1), z[:, place + 1:]], 1)
            total = total - log_scale[:, place]
        return z, total


class Made(nn.Module):
    """Two hidden layers, so masked that what comes out for a value depends on those before it only (Germain et al., 2015)."""

    def __init__(self, size: int, width: int, outputs: int) -> None:
        super().__init__()
        places = torch.arange(1, size + 1)
        hidden = torch.arange(width) % max(1, size - 1) + min(1, size - 1)
        self.layers = nn.ModuleList([MaskedLinear(hidden[:, None] >= places), MaskedLinear(hidden[:, None] >= hidden),
                                     MaskedLinear(places.repeat(outputs)[:, None] > hidden)])
        shrink(self.layers[-1])

    def forward(self, z: Tensor) -> Tensor:
        """[N, D] to [N, outputs·D], all first outputs in front."""
        first, second, last = self.layers
        out: Tensor = last(second(first(z).relu()).relu())
        return out


def affine(numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Shift and logarithm of the scale, from twice as many numbers; the latter is held in ±5, softly."""
    shift, raw = numbers.chunk(2, 1)
    return shift, WIDEST * (raw / WIDEST).tanh()


@torch.no_grad()
def shrink(layer: nn.Module) -> None:
    """Small first weights, and no bias."""
    assert isinstance(layer, nn.Linear)
    layer.weight.mul_(SMALL_SCALE)
    nn.init.zeros_(layer.bias)


def standard_normal(u: Tensor) -> Tensor:
    """Log-density [N] of vectors [N, D] under N(0, I)."""
    return -0.5 * (u.square().sum(1) + math.log(2 * math.pi) * u.shape[1])
