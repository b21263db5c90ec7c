"""The likelihood of a table's row: numbers, categories and flags, each judged by its own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from aebuild.modules.likelihoods import HALF_LEVEL, Likelihood, per_sample


class Mixed(Likelihood):
    """Negative log-likelihood in nats of features of which some are numbers, some one-hot categories, some flags.

    `numbers` judges the features at `number_places`; `groups` are the first feature and the width of each category, whose parameters are
    logits; a feature at `flag_places` is 0 or 1, its parameter a logit.
    """

    number_places: Tensor
    flag_places: Tensor
    order: Tensor

    def __init__(self, numbers: Likelihood, number_places: Sequence[int], groups: Sequence[tuple[int, int]],
                 flag_places: Sequence[int]) -> None:
        super().__init__()
        self.numbers, self.groups = numbers, tuple(groups)
        sorted_places = [*number_places, *flag_places, *(place for start, width in groups for place in range(start, start + width))]
        back = sorted(range(len(sorted_places)), key=sorted_places.__getitem__)
        for name, places in (("number_places", number_places), ("flag_places", flag_places), ("order", back)):
            self.register_buffer(name, torch.tensor(list(places), dtype=torch.long), persistent=False)

    def forward(self, params: Tensor, target: Tensor) -> Tensor:
        """[N]."""
        return per_sample(self.each(params, target))

    def each(self, params: Tensor, target: Tensor) -> Tensor:
        """Like the target, (N, W): of a category the surprise stands at the feature that is 1."""
        (numbers, flags, groups), (true_numbers, true_flags, true_groups) = self._apart(params), self._apart(target)
        return self._together(self.numbers.each(numbers, true_numbers),
                              F.binary_cross_entropy_with_logits(flags, true_flags, reduction="none"),
                              [-true * logits.log_softmax(1) for true, logits in zip(true_groups, groups, strict=True)])

    def mean(self, params: Tensor) -> Tensor:
        """The expected numbers, and the probability of each category and flag, (N, W)."""
        numbers, flags, groups = self._apart(params)
        return self._together(self.numbers.mean(numbers), flags.sigmoid(), [logits.softmax(1) for logits in groups])

    def params_of(self, mean: Tensor) -> Tensor:
        """The numbers, and the logits of probabilities held half a level of a byte from 0 and 1."""
        numbers, flags, groups = self._apart(mean)
        return self._together(numbers, flags.clamp(HALF_LEVEL, 1 - HALF_LEVEL).logit(),
                              [share.clamp(HALF_LEVEL, 1 - HALF_LEVEL).log() for share in groups])

    def _apart(self, features: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Features (N, W) as numbers (N, D), flags (N, F), and of each category (N, K)."""
        return (features[:, self.number_places], features[:, self.flag_places],
                [features[:, start:start + width] for start, width in self.groups])

    def _together(self, numbers: Tensor, flags: Tensor, groups: Sequence[Tensor]) -> Tensor:
        """Back in the order of the columns, (N, W)."""
        return torch.cat([numbers, flags, *groups], 1)[:, self.order]


def by_columns(numbers: Likelihood, columns: Sequence[tuple[str, int, int]]) -> Mixed:
    """The likelihood of columns, told by kind, first feature and width."""
    return Mixed(numbers, [start for kind, start, _ in columns if kind == "number"],
                 [(start, width) for kind, start, width in columns if kind == "category"],
                 [start for kind, start, _ in columns if kind in ("flag", "missing")])


