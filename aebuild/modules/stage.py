"""A half of the model: steps in order, with taps for skips and a context for steps that need one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


class Contextual(nn.Module):
    """A step whose forward takes a context: encoder taps by path, the clean target, the likelihood's mean."""

    def forward(self, x: Tensor, context: dict[str, Any]) -> Tensor:
        """Overridden by each contextual step."""
        raise TypeError(f"{type(self).__name__} has no forward")


class Stage(nn.Sequential):
    """Steps in order under their own names.

    `taps` maps a step's name to the key under which its output is put into the context.
    """

    def __init__(self, steps: Mapping[str, nn.Module], taps: Mapping[str, str] | None = None) -> None:
        super().__init__()
        for name, step in steps.items():
            self.add_module(name, step)
        self.taps = dict(taps or {})

    def forward(self, x: Tensor, context: dict[str, Any] | None = None) -> Tensor:
        """[N, ...] to [N, ...]; the context is filled and read in place."""
        context = {} if context is None else context
        for name, step in self._modules.items():
            assert step is not None
            x = step(x, context) if isinstance(step, Contextual | Stage) else step(x)
            if name in self.taps:
                context[self.taps[name]] = x
        return x

    def groups(self) -> list[Stage]:
        """One stage for each written step, with the adapters in front of it, sharing the modules."""
        found: dict[str, dict[str, nn.Module]] = {}
        for name, step in self.named_children():
            found.setdefault(name.split("_")[0], {})[name] = step
        return [Stage(steps) for steps in found.values()]


class Skip(Contextual):
    """Joins the context's tap `source` to its input, stacked along `axis` or added."""

    def __init__(self, source: str, combine: str, axis: int) -> None:
        super().__init__()
        self.source = source
        self.combine = combine
        self.axis = axis

    def forward(self, x: Tensor, context: dict[str, Any]) -> Tensor:
        """[N, C, ...] to [N, C + C', ...], or the sum."""
        tap: Tensor = context[self.source]
        return x + tap if self.combine == "add" else torch.cat([x, tap], self.axis)
