"""Heads that predict columns: numbers by their squared error, categories by their cross-entropy."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aebuild.modules.autoencoder import Head
from aebuild.modules.collectives import mean, total, whole
from aebuild.modules.outputs import Outputs, repeated_rows

Column = tuple[str, bool, int, int]          # what its metric is called, whether it is a category, first feature in a batch, and width


class ColumnsHead(Head):
    """A network on the code (or the encoder's features) that predicts columns, whose features stand in `Batch.answers` [N, F].

    A number is judged by its squared error; where it is not known it is NaN. A category has a feature for each of its words, of which
    one is 1, and none where it is not known; it is judged by its cross-entropy. What is not known counts nowhere.
    """

    def __init__(self, network: nn.Module, source: str, name: str, columns: Sequence[Column]) -> None:
        super().__init__(network, source, name)
        self.columns = tuple(columns)

    def loss(self, outputs: Outputs) -> Tensor | None:
        """[N], the sum over columns, of which each is scaled to the mean of the samples in which it is known."""
        source = outputs.code.value if self.source == "latent" else outputs.features
        answers = outputs.batch.answers
        assert source is not None, "nothing was encoded in this pass"
        if answers is None:
            return None
        answers = repeated_rows(answers, outputs.draws) if self.source == "latent" else answers
        given = self(source, outputs.batch.context() if self.source == "encoder" else None)
        found, start = torch.zeros(len(given), dtype=given.dtype, device=given.device), 0
        for metric, category, first, width in self.columns:
            guess, true = given[:, start:start + width], answers[:, first:first + width]
            known = (true.sum(1) > 0) if category else ~true.isnan().any(1)
            true = true.masked_fill(~known.unsqueeze(1), 0.0)
            raw = F.cross_entropy(guess, true, reduction="none") if category else (guess - true).square().sum(1)
            right = (guess.argmax(1) == true.argmax(1)).to(raw.dtype) if category else 1 - raw / width
            outputs.metrics[metric] = mean(right.detach() * known)
            outputs.metrics[f"{metric} per"] = mean(known.to(raw.dtype))
            found = found + raw * known * (whole(len(known)) / total(known.sum()).clamp(min=1))
            start += width
        return found
