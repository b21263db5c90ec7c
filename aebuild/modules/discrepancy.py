"""The maximum mean discrepancy of two sets of codes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from aebuild.modules.collectives import gathered
from aebuild.modules.losses import Loss
from aebuild.modules.outputs import Outputs
from aebuild.modules.priors import Prior


def rbf(squares: Tensor, bandwidth: float, dim: int) -> Tensor:
    """exp(−d²/2h²) of squared distances."""
    return (squares / (-2 * bandwidth ** 2)).exp()


def imq(squares: Tensor, bandwidth: float, dim: int) -> Tensor:
    """C/(C + d²) with C = 2·dim·h², the mean squared distance of two draws of N(0, h²·I)."""
    scale = 2 * dim * bandwidth ** 2
    return scale / (scale + squares)


KERNELS: dict[str, Callable[[Tensor, float, int], Tensor]] = {"rbf": rbf, "imq": imq}


def squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """[n, D] and [m, D] to [n, m]; not from the product, so that near ones are exact and a distance of zero has a gradient."""
    return (x.unsqueeze(1) - y).square().sum(2)


def unbiased_mmd(x: Tensor, y: Tensor, kernel: str, bandwidths: Sequence[float]) -> Tensor:
    """The unbiased estimate of MMD² of two sets [n, D] and [m, D] of two or more, a scalar (Gretton et al., 2012).

    The kernels of all bandwidths are added. It can be negative; where both are of one distribution it is zero on average.
    """
    form, dim = KERNELS[kernel], x.shape[1]

    def similar(a: Tensor, b: Tensor) -> Tensor:
        squares = squared_distances(a, b)
        return torch.stack([form(squares, bandwidth, dim) for bandwidth in bandwidths]).sum(0)

    def among(a: Tensor) -> Tensor:
        every = similar(a, a)
        return (every.sum() - every.diagonal().sum()) / (len(a) * (len(a) - 1))

    return among(x) + among(y) - 2 * similar(x, y).mean()


class Mmd(Loss):
    """MMD² of a batch's codes and as many draws of the prior; a batch of one sample has none."""

    def __init__(self, prior: Prior, kernel: str, bandwidths: Sequence[float]) -> None:
        super().__init__()
        self.prior = prior
        self.kernel, self.bandwidths = kernel, tuple(bandwidths)

    def loss(self, outputs: Outputs) -> Tensor | None:
        """A scalar."""
        value = outputs.code.value
        codes = gathered(value.flatten(1))
        drawn = gathered(self.prior.draw(len(value), value.device).flatten(1).to(value.dtype))
        return unbiased_mmd(codes, drawn, self.kernel, self.bandwidths) if len(codes) > 1 else codes.sum() * 0
