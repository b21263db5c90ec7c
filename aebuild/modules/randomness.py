"""Random numbers drawn from (seed, path, tick): no state to save, no node disturbs another."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from aebuild.modules.collectives import own, whole


def derive(*words: object) -> int:
    """A 63-bit seed from any words, the same on every machine."""
    text = "/".join(map(str, words)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little") >> 1


class Random(nn.Module):
    """A module that draws random numbers through `self.rng(device)`, reseeded before each step by `reseed`."""

    def __init__(self) -> None:
        super().__init__()
        self._generator: torch.Generator | None = None
        self._seed = 0

    def rng(self, device: torch.device) -> torch.Generator:
        """This module's generator on that device; the meta device, which draws nothing, gets a CPU one."""
        device = torch.device("cpu") if device.type == "meta" else device
        if self._generator is None or self._generator.device.type != device.type:
            self._generator = torch.Generator(device).manual_seed(self._seed)
        return self._generator

    def drawn(self, kind: Callable[..., Tensor], shape: Sequence[int], device: torch.device, **options: Any) -> Tensor:
        """Numbers of `kind` (torch.rand, torch.randn, ...) for rows [N, ...] of a batch, of a shared one its own rows.

        They are drawn for the whole batch, so that they do not depend on how many processes share it.
        """
        return own(kind((whole(shape[0]), *shape[1:]), generator=self.rng(device), device=device, **options))

    def reseed(self, seed: int) -> None:
        """Start again from this seed."""
        self._seed = seed
        if self._generator is not None:
            self._generator.manual_seed(seed)

    def state(self) -> torch.Tensor | None:
        """Where the random numbers stand; None before the first draw."""
        return self._generator.get_state() if self._generator is not None else None

    def put(self, state: torch.Tensor | None) -> None:
        """Goes on from there."""
        if state is None:
            self.reseed(self._seed)
        elif self._generator is not None:
            self._generator.set_state(state)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_generator": None}


def random_modules(model: nn.Module) -> list[tuple[str, Random]]:
    """Every module of the model that draws random numbers, with its path."""
    return [(path, module) for path, module in model.named_modules() if isinstance(module, Random)]


def reseed(modules: list[tuple[str, Random]], seed: int, tick: int) -> None:
    """Seed each module from (seed, its path, tick); `tick` counts the forward passes of a run."""
    for path, module in modules:
        module.reseed(derive(seed, path, tick))
