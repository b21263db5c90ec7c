"""Causal networks over a sequence: what comes out at a place depends on that place and those before it."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn

from aebuild.modules.transformer import Attention, Block, LearnedPositions, attend

TRANSFORMER_STD = 0.02        # standard deviation of a transformer's first weights (Radford et al., 2019)


class CausalTransformer(nn.Module):
    """Pre-norm transformer blocks with learned positions; `causal` false lets each place see all others."""

    def __init__(self, length: int, width: int, depth: int, heads: int, *, causal: bool = True) -> None:
        super().__init__()
        self.positions = LearnedPositions(length, width)
        self.blocks = nn.ModuleList([_block(width, heads, causal) for _ in range(depth)])
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

    def forward(self, x: Tensor) -> Tensor:
        """[N, T, width] to the same; of fewer places than there are positions the first ones."""
        x = x + self.positions.weight[:x.shape[1]]
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.norm(x)
        return out

    def step(self, x: Tensor, place: int, state: Any) -> tuple[Tensor, Any]:
        """One place, [N, width], after those that `state` remembers; None before the first. The same as `forward` gives there."""
        x, kept = (x + self.positions.weight[place]).unsqueeze(1), []
        for number, block in enumerate(self.blocks):
            assert isinstance(block, Block)
            x, held = _stepped(block, x, None if state is None else state[number])
            kept.append(held)
        return self.norm(x)[:, 0], kept


def _block(width: int, heads: int, causal: bool) -> Block:
    attention = Attention(nn.Linear(width, 3 * width), nn.Linear(width, width), heads, causal)
    mlp = nn.Sequential(OrderedDict(expand=nn.Linear(width, 4 * width), gelu=nn.GELU(), contract=nn.Linear(4 * width, width)))
    return Block({"attention_norm": nn.LayerNorm(width), "attention": attention, "mlp_norm": nn.LayerNorm(width), "mlp": mlp}, "sequence")


def _stepped(block: Any, x: Tensor, before: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """A block at one more place, with the keys and values of all places up to it, [N, heads, t, d]."""
    attention = block.attention
    q, k, v = attention.qkv(block.attention_norm(x)).unflatten(2, (3, attention.heads, -1)).permute(2, 0, 3, 1, 4).unbind()
    if before is not None:
        k, v = torch.cat([before[0], k], 2), torch.cat([before[1], v], 2)
    x = x + attention.out(attend(q, k, v, False, "plain").transpose(1, 2).flatten(2))
    return x + block.mlp(block.mlp_norm(x)), (k, v)


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
