"""Batch normalisation over a batch that several processes share."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from aebuild.modules.collectives import shared, stacked
from aebuild.modules.shapes import SequenceBatchNorm


class SharedBatchNorm(_BatchNorm):
    """torch's BatchNorm of any rank with the statistics of the whole batch (torch's own does this on GPUs only).

    Where a batch is not shared, and in evaluation, it is torch's. Channels are on axis 1, of a `sequence` on the last.
    """

    @classmethod
    def of(cls, norm: _BatchNorm) -> SharedBatchNorm:
        """The same norm with the same tensors under the same names."""
        new = cls(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats, device="meta")
        new._parameters, new._buffers = norm._parameters, norm._buffers
        new.training, new.sequence = norm.training, isinstance(norm, SequenceBatchNorm)
        new.__dict__["plain"] = norm                   # past nn.Module, which would count it among the parts of the model
        return new

    plain: _BatchNorm
    sequence = False

    def _check_input_dim(self, input: Tensor) -> None:
        pass

    def forward(self, input: Tensor) -> Tensor:
        """[N, C, *S], or [N, T, C] of a sequence, to the same."""
        x = input.flatten(0, 1) if self.sequence else input
        y = self._together(x) if self.training and shared() else super().forward(x)
        return y.view_as(input)

    def _together(self, x: Tensor) -> Tensor:
        axes = [axis for axis in range(x.ndim) if axis != 1]
        count = x.numel() // x.shape[1]
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        centre = wide.sum(axes) / max(1, count)
        spread = (wide - _along(centre, x)).square().sum(axes)
        every = stacked(torch.cat([centre, spread, centre.new_full((1,), float(count))]))       # (W, 2C + 1)
        counts = every[:, -1:].detach()
        centres, spreads = every[:, :-1].chunk(2, 1)
        samples = counts.sum()
        mean = (counts * centres).sum(0) / samples
        moment = spreads.sum(0) + (counts * (centres - mean).square()).sum(0)      # of parts to that of the whole: Chan et al., 1979
        self._follow(mean.detach(), moment.detach(), samples)
        normal = (wide - _along(mean, x)) * _along((moment / samples + self.eps).rsqrt(), x)
        if self.affine:
            normal = normal * _along(self.weight, x) + _along(self.bias, x)
        return normal.to(x.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, moment: Tensor, samples: Tensor) -> None:
        """Moves the running statistics, the variance by its unbiased estimate."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = self.momentum if self.momentum is not None else 1.0 / float(self.num_batches_tracked)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_((moment / (samples - 1).clamp(min=1)).to(self.running_var.dtype), share)


def share_norms(model: nn.Module) -> None:
    """Replaces every batch norm of torch by one that knows of shared batches."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, _BatchNorm) and not isinstance(child, SharedBatchNorm):
                parent._modules[name] = SharedBatchNorm.of(child)


def part_norms(model: nn.Module) -> None:
    """Undoes `share_norms`: torch's own norms stand in their places again, with the tensors as they are now."""
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, SharedBatchNorm):
                child.plain.train(child.training)
                parent._modules[name] = child.plain


def _along(channel: Tensor, x: Tensor) -> Tensor:
    return channel.view(1, -1, *(1,) * (x.ndim - 2))
