"""A causal transformer as a decoder: a text or a series from its code, place by place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from aebuild.modules.autoregression import CausalNetwork, Entry, Walk
from aebuild.modules.causal import CausalTransformer


class CausalDecoder(CausalNetwork):
    """Causal self-attention over the values before a place; the code stands in front of them, or beside each, or is asked by each.

    `inputs` is how many numbers stand at a place, None of symbols, which the entry embeds. Of a code that is asked, `code_positions`
    tells the places apart.
    """

    def __init__(self, entry: Entry, inputs: int | None, code: int, width: int, network: CausalTransformer,
                 told: Literal["first", "each", "cross"], code_positions: nn.Module | None = None) -> None:
        super().__init__()
        self.entry = entry
        self.enter = None if inputs is None else nn.Linear(inputs, width)
        self.told = nn.Linear(code, width)
        self.code_positions = code_positions
        self.network = network
        self.manner = told

    def forward(self, code: Tensor, entered: Tensor) -> Tensor:
        """A code [N, D] or [N, S, D] and [N, T, C] to [N, T, width]."""
        x = entered[:, :-1] if self.enter is None else self.enter(entered[:, :-1])
        told = self._told(code)
        if self.manner == "first":
            return self.network(torch.cat([told, x], 1))  # type: ignore[no-any-return]
        before = torch.cat([torch.zeros_like(told[:, :1]), x], 1)
        return self.network(before, told) if self.manner == "cross" else self.network(before + told)  # type: ignore[no-any-return]

    def _told(self, code: Tensor) -> Tensor:
        told: Tensor = self.told(code)
        if self.code_positions is not None:
            told = self.code_positions(told)
        return told if told.ndim == 3 else told.unsqueeze(1)

    def walk(self, code: Tensor, size: Sequence[int]) -> Walk:
        """Each place once, with the keys and values of those before it."""
        told, state = self._told(code), None
        memory_keys = self.network.memory_keys(told) if self.manner == "cross" else None
        beside = told.expand(-1, size[0], -1) if self.manner == "each" else None
        x = torch.zeros_like(told[:, 0]) if self.manner == "cross" else told[:, 0]
        for place in range(size[0]):
            hidden, state = self.network.step(x, place, state, memory_keys)
            value = yield hidden.unsqueeze(1)
            x = value[:, 0] if self.enter is None else self.enter(value[:, 0])
            if beside is not None and place + 1 < size[0]:
                x = x + beside[:, place + 1]
