"""Running means of named scalars, kept on the device and read only when asked."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from aebuild.trainer.distributed.process_group import ALONE, ProcessGroup

PER = " per"      # `accuracy per` is the share of samples that `accuracy` is about


class RunningMeans:
    """Sample-weighted sums of named scalars in float64; adding never waits for the device.

    Values that are logged together share one group: their names, one tensor of sums, and how many samples it holds. On
    several processes values are portions, which add up to the value of the whole batch; samples are those of the whole batch.
    """

    def __init__(self, company: ProcessGroup = ALONE) -> None:
        self._company = company
        self._groups: dict[tuple[str, ...], tuple[Tensor, list[int]]] = {}

    def add(self, names: tuple[str, ...], values: list[Tensor], samples: int) -> None:
        """Adds detached scalars that hold for this many samples of all processes."""
        if not names:
            return
        row = torch.stack(values)
        group = self._groups.get(names)
        if group is None:
            group = self._groups[names] = (torch.zeros(len(names), dtype=torch.float64, device=row.device), [0])
        group[0].add_(row, alpha=samples)
        group[1][0] += samples

    def __bool__(self) -> bool:
        return bool(self._groups)

    def means(self) -> dict[str, float]:
        """The mean of each name so far; waits for the device once a group."""
        totals: dict[str, list[float]] = {}
        for names, (sums, count) in self._groups.items():
            for name, value in zip(names, self._company.total(sums).tolist(), strict=True):
                total = totals.setdefault(name, [0.0, 0])
                total[0] += value
                total[1] += count[0]
        means = {name: value / samples for name, (value, samples) in totals.items()}
        shares = {name.removesuffix(PER): share for name, share in means.items() if name.endswith(PER)}
        return {name: mean / shares.get(name, 1) for name, mean in means.items() if not name.endswith(PER) and shares.get(name, 1)}

    def clear(self) -> None:
        """Forgets everything."""
        self._groups.clear()

    def state(self) -> list[dict[str, Any]]:
        """For a checkpoint."""
        return [{"names": list(names), "sums": self._company.total(sums), "samples": count[0]}
                for names, (sums, count) in self._groups.items()]

    def load(self, state: list[dict[str, Any]], device: torch.device) -> None:
        """The sums of a checkpoint; the first process holds them for all."""
        share = 1.0 if self._company.first else 0.0
        self._groups = {tuple(group["names"]): (group["sums"].to(device) * share, [group["samples"]]) for group in state}


def finite(values: dict[str, float]) -> bool:
    """True if no mean is NaN or infinite."""
    return all(map(math.isfinite, values.values()))
