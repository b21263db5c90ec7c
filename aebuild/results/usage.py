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
        self._counts: Tensor | None = None

    def add(self, indices: Tensor | None) -> None:
        """Counts the entries of the codes of a batch, (N, places · groups); None for codes that have none."""
        if indices is None:
            return
        latent = self._model.latent
        by_book, codes = latent.by_book(indices), int(latent.codes)
        if self._counts is None:
            self._counts = torch.zeros(len(by_book), codes, dtype=torch.float64, device=indices.device)
        for counts, found in zip(self._counts, by_book, strict=True):
            counts += torch.bincount(found, minlength=codes)

    def metrics(self) -> dict[str, float]:
        """Perplexity and usage over everything counted."""
        if self._counts is None:
            return {}
        share = self._counts / self._counts.sum(1, keepdim=True)
        return {"perplexity": float(torch.special.entr(share).sum(1).exp().mean()),
                "usage": float((self._counts > 0).double().mean())}
