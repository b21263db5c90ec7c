"""Causal networks over a sequence: what comes out at a place depends on that place and those before it."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn

from aebuild.modules.queried import Keys, QueryAttention
from aebuild.modules.transformer import Attention, LearnedPositions, attend

TRANSFORMER_STD = 0.02        # standard deviation of a transformer's first weights (Radford et al., 2019)


class CausalTransformer(nn.Module):
    """Pre-norm transformer blocks with learned positions; `causal` false lets each place see all others.

    With `cross_attention` each place asks another sequence, too, the `memory`, between attention and network (Vaswani et al., 2017).
    """

    def __init__(self, length: int, width: int, depth: int, heads: int, *, causal: bool = True, cross_attention: bool = False) -> None:
        super().__init__()
        self.positions = LearnedPositions(length, width)
        self.blocks = nn.ModuleList([CausalBlock(width, heads, causal, cross_attention) for _ in range(depth)])
        self.norm = nn.LayerNorm(width)
        self._begin(depth)

    @torch.no_grad()
    def _begin(self, depth: int) -> None:
        """Small weights, the smaller the more blocks add to one sum, and no biases."""
        for name, parameter in self.blocks.named_parameters():
            if name.endswith("weight") and parameter.ndim > 1:
                added = name.endswith(("out.weight", "contract.weight"))
                parameter.normal_(0, TRANSFORMER_STD / (2 * depth) ** 0.5 if added else TRANSFORMER_STD)
            elif name.endswith("bias"):
                parameter.zero_()

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        """[N, T, width] to the same; of fewer places than there are positions the first ones. `memory` [N, S, width] is what is asked."""
        x = x + self.positions.weight[:x.shape[1]]
        for block in self.blocks:
            x = block(x, memory)
        out: Tensor = self.norm(x)
        return out

    def memory_keys(self, memory: Tensor) -> list[Keys]:
        """The keys and values that each block makes of the memory [N, S, width], the same for all places."""
        return [block.cross_attention.keys(memory) for block in self.blocks]  # type: ignore[union-attr, operator]

    def step(self, x: Tensor, place: int, state: Any, memory_keys: list[Keys] | None = None) -> tuple[Tensor, Any]:
        """One place, [N, width], after those that `state` remembers; None before the first. The same as `forward` gives there."""
        x, kept = (x + self.positions.weight[place]).unsqueeze(1), []
        for number, block in enumerate(self.blocks):
            assert isinstance(block, CausalBlock)
            x, held = block.step(x, None if state is None else state[number], None if memory_keys is None else memory_keys[number])
            kept.append(held)
        return self.norm(x)[:, 0], kept


class CausalBlock(nn.Module):
    """Attention to the places before, where it is wanted to a memory, then a two-layer network, each normalised before and added."""

    def __init__(self, width: int, heads: int, causal: bool, cross_attention: bool) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(nn.Linear(width, 3 * width), nn.Linear(width, width), heads, causal)
        if cross_attention:
            self.cross_attention_norm = nn.LayerNorm(width)
            self.cross_attention = QueryAttention(nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(width, width), heads)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(OrderedDict(expand=nn.Linear(width, 4 * width), gelu=nn.GELU(), contract=nn.Linear(4 * width, width)))

    def forward(self, x: Tensor, memory: Tensor | None = None) -> Tensor:
        """[N, T, width] to the same, of a memory [N, S, width]."""
        x = x + self.attention(self.attention_norm(x))
        return self._behind(x, None if memory is None else self.cross_attention.keys(memory))

    def step(self, x: Tensor, before: Keys | None, memory_keys: Keys | None) -> tuple[Tensor, Keys]:
        """One more place, [N, 1, width], with the keys and values of all places up to it."""
        attention = self.attention
        q, k, v = attention.qkv(self.attention_norm(x)).unflatten(2, (3, attention.heads, -1)).permute(2, 0, 3, 1, 4).unbind()
        if before is not None:
            k, v = torch.cat([before[0], k], 2), torch.cat([before[1], v], 2)
        x = x + attention.out(attend(q, k, v, False, "plain").transpose(1, 2).flatten(2))
        return self._behind(x, memory_keys), (k, v)

    def _behind(self, x: Tensor, memory_keys: Keys | None) -> Tensor:
        if memory_keys is not None:
            x = x + self.cross_attention.asked(self.cross_attention_norm(x), memory_keys)
        out: Tensor = x + self.mlp(self.mlp_norm(x))
        return out


class CausalGru(nn.Module):
    """Gated recurrent units, one above the other (Chung et al., 2014)."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.gru = nn.GRU(width, width, depth, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        """[N, T, width] to the same."""
        out: Tensor = self.gru(x)[0]
        return out

    def step(self, x: Tensor, place: int, state: Any) -> tuple[Tensor, Any]:
        """One place, [N, width], after those that `state` remembers; None before the first."""
        out, state = self.gru(x.unsqueeze(1), state)
        return out[:, 0], state
