"""Series of unequal length [N, T, ...], padded at the end: what is done with their real places alone.

`lengths` [N] says how many places of each are real, at least one; None where all are.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def lengths_in(context: dict[str, Any] | None) -> Tensor | None:
    """The lengths of the series that pass, where a context has them."""
    found: Tensor | None = None if context is None else context.get("lengths")
    return found


def real_places(lengths: Tensor, target: Tensor) -> Tensor:
    """True at the first `lengths` [N] places of each sample, [N, T, 1, ...], so that it spreads over the target [N, T, ...]."""
    places = torch.arange(target.shape[1], device=lengths.device) < lengths[:, None]
    return places.reshape(*places.shape, *(1,) * (target.ndim - 2))


def silenced(x: Tensor, lengths: Tensor | None) -> Tensor:
    """The same with zeros behind the end of each series."""
    return x if lengths is None else x.masked_fill(~real_places(lengths, x), 0.0)


def mean_place(x: Tensor, lengths: Tensor | None) -> Tensor:
    """[N, T, D] to the mean over the real places, [N, D]."""
    return x.mean(1) if lengths is None else silenced(x, lengths).sum(1) / lengths[:, None]


def last_place(x: Tensor, lengths: Tensor) -> Tensor:
    """[N, T, D] to the last real place, [N, D]."""
    return x.gather(1, (lengths - 1)[:, None, None].expand(-1, 1, x.shape[2]))[:, 0]


def turned(x: Tensor, lengths: Tensor | None) -> Tensor:
    """[N, T, D] with the real places of each series in reverse order, and the padding where it was."""
    if lengths is None:
        return x.flip(1)
    places = torch.arange(x.shape[1], device=x.device)
    order = torch.where(places < lengths[:, None], lengths[:, None] - 1 - places, places)         # (N, T)
    return x.gather(1, order[:, :, None].expand_as(x))
