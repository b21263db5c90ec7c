"""Labels that only some samples have."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from aebuild.modules.collectives import mean, total, whole
from aebuild.modules.losses import Loss
from aebuild.modules.outputs import Outputs


def surprise_at_labels(logits: Tensor, labels: Tensor, outputs: Outputs, name: str) -> Tensor:
    """Cross-entropy of logits [N, classes] at labels [N], zero where these are -1, scaled to the known ones' mean, [N].

    The accuracy at known labels is left in the pass as a metric.
    """
    known = labels >= 0
    outputs.metrics[f"{name}_accuracy"] = mean((logits.argmax(1) == labels).float()).detach()
    outputs.metrics[f"{name}_accuracy per"] = mean(known.float())
    raw = F.cross_entropy(logits, labels.clamp(min=0), reduction="none") * known
    return raw * (whole(labels.shape[0]) / total(known.sum()).clamp(min=1))


class LabelledCategories(Loss):
    """Surprise at known labels of the last `categories` values of a code, which are probabilities; `name` is the metric's."""

    def __init__(self, categories: int, name: str) -> None:
        super().__init__()
        self.categories, self.name = categories, name

    def loss(self, outputs: Outputs) -> Tensor | None:
        """[N], None without labels."""
        if outputs.labels is None:
            return None
        chances = outputs.code.value[:, -self.categories:]
        return surprise_at_labels(chances.clamp(min=torch.finfo(chances.dtype).tiny).log(), outputs.labels, outputs, self.name)
