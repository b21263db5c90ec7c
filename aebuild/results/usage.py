"""How a discrete code is used over a whole split."""

from __future__ import annotations

import torch
from torch import Tensor

from aebuild.modules.autoencoder import Autoencoder


class Usage:
    """Counts of every codebook entry over many batches.

    Perplexity is exp(entropy) of how often the entries are used, between 1 and their number, and `usage` the share of
    entries that are used at all, both averaged over the codebooks. Nothing for other latents.
    """

    def __init__(self, model: Autoencoder) -> None:
        self._model = model
        self._counts: list[Tensor] = []

    def add(self, indices: Tensor | None) -> None:
        """Counts the entries of the codes of a batch, (N, places · groups); None for codes that have none."""
        if indices is None:
            return
        latent = self._model.latent
        if not self._counts:
            self._counts = [torch.zeros(size, dtype=torch.float64, device=indices.device) for size in latent.book_sizes]
        for counts, found in zip(self._counts, latent.by_book(indices), strict=True):
            counts += torch.bincount(found.flatten(), minlength=len(counts))

    def metrics(self) -> dict[str, float]:
        """Perplexity and usage over everything counted."""
        if not self._counts:
            return {}
        entropies = [torch.special.entr(counts / counts.sum()).sum() for counts in self._counts]
        return {"perplexity": float(torch.stack(entropies).exp().mean()),
                "usage": float(torch.stack([(counts > 0).double().mean() for counts in self._counts]).mean())}
