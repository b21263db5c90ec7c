"""Loss terms on how fast encoder and decoder change."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from aebuild.modules.losses import Loss
from aebuild.modules.outputs import Outputs
from aebuild.modules.randomness import Random


class JacobianNorm(Random, Loss):
    """The squared Frobenius norm of a Jacobian, sample by sample.

    Exact, row by row, without `draws`; else the mean over so many random signs v of |vᵀJ|², whose expectation it is (Hutchinson, 1989).
    """

    one_unit = True            # slopes are taken inside of a pass

    def __init__(self, draws: int | None = None) -> None:
        super().__init__()
        self.draws = draws

    def norm(self, outputs: Tensor, inputs: Tensor, *, graph: bool) -> Tensor:
        """Of `outputs` [N, ...] by `inputs` [N, ...], [N]; with `graph` it has a gradient itself."""
        total = inputs.new_zeros(len(inputs))
        for probe in self._rows(outputs) if self.draws is None else self._signs(outputs):
            found, = torch.autograd.grad(outputs, inputs, probe, retain_graph=True, create_graph=graph)
            total = total + found.flatten(1).square().sum(1)
        return total / (self.draws or 1)

    def _rows(self, outputs: Tensor) -> Iterator[Tensor]:
        for place in range(outputs[0].numel()):
            row = torch.zeros_like(outputs)
            row.view(len(row), -1)[:, place] = 1
            yield row

    def _signs(self, outputs: Tensor) -> Iterator[Tensor]:
        for _ in range(self.draws or 0):
            drawn = self.drawn(partial(torch.randint, 2), outputs.shape, outputs.device)
            yield 2 * drawn.to(outputs.dtype) - 1


@contextmanager
def twice_differentiable() -> Iterator[bool]:
    """While entered, gradients can be taken, and by kernels whose gradients have gradients; gives whether those are wanted."""
    wanted = torch.is_grad_enabled()
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH), torch.backends.cudnn.flags(enabled=False):
        yield wanted


class Contractive(JacobianNorm):
    """How fast the code changes with the clean input (Rifai et al., 2011)."""

    def loss(self, outputs: Outputs) -> Tensor:
        """[N]."""
        assert outputs.encode is not None, "nothing was encoded in this pass"
        with twice_differentiable() as wanted:
            x = outputs.batch.x.detach().requires_grad_()
            code = outputs.encode(x)
            value = code.value if code.posterior is None else code.posterior.mean
            return self.norm(value, x, graph=wanted)


class DecoderGradient(JacobianNorm):
    """How fast the expected data change with the code (Ghosh et al., 2020)."""

    def loss(self, outputs: Outputs) -> Tensor:
        """[N], through the decoder alone."""
        with twice_differentiable() as wanted:
            value = outputs.code.value.detach().requires_grad_()
            return self.norm(outputs.decoded(value), value, graph=wanted)


class DecoderWeights(Loss):
    """The squared norm of all weights of the decoder (Ghosh et al., 2020)."""

    shardable = False

    def loss(self, outputs: Outputs) -> Tensor:
        """A scalar."""
        assert outputs.decoder is not None, "nothing was decoded in this pass"
        return torch.stack([weight.square().sum() for weight in outputs.decoder()]).sum()
