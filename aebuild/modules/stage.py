"""A half of the model: steps in order, with taps for skips and a context for steps that need one."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from aebuild.modules.collectives import present, sharing
from aebuild.modules.randomness import Random


class Contextual(nn.Module):
    """A step whose forward takes a context: encoder taps by path, the clean target, the likelihood's mean."""

    def forward(self, x: Tensor, context: dict[str, Any]) -> Tensor:
        """Overridden by each contextual step."""
        raise TypeError(f"{type(self).__name__} has no forward")


class Stage(nn.Sequential):
    """Steps in order under their own names.

    `taps` maps a step's name to the key under which its output is put into the context. How it is computed: with `cast` in
    that precision, the result in float32; with `recompute` without keeping what is inside a step for the gradient.
    """

    def __init__(self, steps: Mapping[str, nn.Module], taps: Mapping[str, str] | None = None) -> None:
        super().__init__()
        for name, step in steps.items():
            self.add_module(name, step)
        self.taps = dict(taps or {})
        self.cast: torch.dtype | None = None
        self.recompute = False

    def forward(self, x: Tensor, context: dict[str, Any] | None = None) -> Tensor:
        """[N, ...] to [N, ...]; the context is filled and read in place."""
        context = {} if context is None else context
        if self.cast is None:
            return self._run(x, context)
        with torch.autocast(x.device.type, self.cast):
            return self._run(x, context).float()

    def _run(self, x: Tensor, context: dict[str, Any]) -> Tensor:
        again = self.recompute and torch.is_grad_enabled()
        for name, step in self._modules.items():
            assert step is not None
            x = recomputed(step, x, context) if again else taken(step, x, context)
            if name in self.taps:
                context[self.taps[name]] = x
        return x

    def groups(self) -> list[Stage]:
        """One stage for each written step, with the adapters in front of it, sharing the modules."""
        found: dict[str, dict[str, nn.Module]] = {}
        for name, step in self.named_children():
            found.setdefault(name.split("_")[0], {})[name] = step
        return [self._part(steps) for steps in found.values()]

    def _part(self, steps: Mapping[str, nn.Module]) -> Stage:
        part = Stage(steps)
        part.cast, part.recompute = self.cast, self.recompute
        return part


def taken(step: nn.Module, x: Tensor, context: dict[str, Any]) -> Tensor:
    """A step's output."""
    out: Tensor = step(x, context) if isinstance(step, Contextual | Stage) else step(x)
    return out


def recomputed(step: nn.Module, x: Tensor, context: dict[str, Any]) -> Tensor:
    """A step's output; what is inside is computed again for the gradient (Chen et al., 2016), which may be in another thread."""
    part, again, before = present(), Again(step), dict(context)

    def run(x: Tensor) -> Tensor:
        with sharing(part):
            return taken(step, x, dict(before) if again.running else context)

    out: Tensor = checkpoint(run, x, use_reentrant=False, context_fn=lambda: (nullcontext(), again))
    return out


class Again:
    """While entered, a step draws the same random numbers as at its start and learns no statistics a second time."""

    def __init__(self, step: nn.Module) -> None:
        self._randoms = [module for module in step.modules() if isinstance(module, Random)]
        self._drawn = [module.state() for module in self._randoms]
        self._buffers = list(step.buffers())
        self._later: tuple[list[Any], list[Tensor]] = ([], [])
        self.running = False

    def __enter__(self) -> None:
        self.running = True
        self._later = [module.state() for module in self._randoms], [buffer.clone() for buffer in self._buffers]
        self._put(self._drawn)

    def __exit__(self, *_: object) -> None:
        self.running = False
        states, buffers = self._later
        self._put(states)
        for buffer, value in zip(self._buffers, buffers, strict=True):
            buffer.data.copy_(value)             # unseen by autograd, as below

    def _put(self, states: list[Any]) -> None:
        for module, state in zip(self._randoms, states, strict=True):
            module.put(state)


class _Passing(threading.local):
    unlearned: int = 0


_passing = _Passing()


def learning() -> bool:
    """False within `unlearned`."""
    return not _passing.unlearned


@contextmanager
def unlearned(model: nn.Module) -> Iterator[None]:
    """While entered, forward passes leave no trace in what a model learns of its batches: running statistics, codebook averages."""
    kept = [(buffer, buffer.clone()) for module in model.modules() if module.training for buffer in module.buffers(recurse=False)]
    _passing.unlearned += 1
    try:
        yield
    finally:
        _passing.unlearned -= 1
        for buffer, before in kept:
            buffer.data.copy_(before)            # unseen by autograd, which keeps running statistics for its backward pass


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
