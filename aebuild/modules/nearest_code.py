"""Exact search for the nearest code, in blocks, so that memory stays small."""

from __future__ import annotations

import torch
from torch import Tensor

from aebuild.modules.recording import recording

CPU_BLOCK = 1 << 19          # scores held at a time: two MiB, which stay in the cache
GPU_BLOCK = 1 << 26
LONG = 256                   # rows from here on are searched in two levels on the CPU, whose argmax is not vectorised
RUN = 64                     # scores of a run, whose maximum is taken first


@torch.no_grad()
def nearest(x: Tensor, codes: Tensor, features: int | None = None) -> Tensor:
    """Index of the code nearest to each vector: x [B, M, d] and codes [B, K, d] to [B, M].

    Scalars (d = 1) are looked up in the sorted codes. Otherwise the largest x·e − |e|²/2 wins, computed around the codes' mean
    so that a common offset costs no precision; it is as exact as the float32 matrix product that torch is set to. Of equally
    near codes the first is taken, of scalars the lower one. `features` is d, for who knows it: a recorded shape is no number.
    """
    x = x.to(codes.dtype)
    if (codes.shape[2] if features is None else features) == 1:
        return _nearest_scalar(x.squeeze(2), codes.squeeze(2))
    centre = codes.mean(1, keepdim=True).bfloat16().to(codes.dtype)      # few digits: equal distances of whole numbers stay equal
    centred = codes - centre
    offset = -((0.5 * centred + centre) * centred).sum(2)                            # (B, K)
    if recording():                                              # how many blocks there are depends on the batch
        return torch.baddbmm(offset.unsqueeze(1), x, centred.mT).argmax(2)
    return torch.stack([_search(*book) for book in zip(x, centred.mT, offset, strict=True)])


def _search(x: Tensor, codes: Tensor, offset: Tensor) -> Tensor:
    on_cpu = x.device.type == "cpu"
    size = codes.shape[1]
    in_runs = on_cpu and size >= LONG
    padded = -(-size // RUN) * RUN if in_runs else size
    blocks = torch.split(x, max(1, (CPU_BLOCK if on_cpu else GPU_BLOCK) // padded))
    scores = x.new_full((len(blocks[0]), padded), -torch.inf)
    found = []
    for block in blocks:
        part = scores[:len(block)]
        torch.addmm(offset, block, codes, out=part[:, :size])       # autocast, which would round, lets `out=` alone
        found.append(_argmax_in_runs(part) if in_runs else part.argmax(1))
    return torch.cat(found)


def _argmax_in_runs(scores: Tensor) -> Tensor:
    runs = scores.view(len(scores), scores.shape[1] // RUN, RUN)                                         # (M, K / RUN, RUN)
    run = runs.amax(2).argmax(1)
    winners = runs[torch.arange(len(scores), device=scores.device), run]             # (M, RUN)
    return run * RUN + winners.argmax(1)


def _nearest_scalar(x: Tensor, codes: Tensor) -> Tensor:
    ordered, origin = codes.sort(dim=1, stable=True)
    borders = torch.lerp(ordered[:, :-1], ordered[:, 1:], 0.5)
    found: Tensor = origin.gather(1, torch.searchsorted(borders, x.contiguous()))
    return found
