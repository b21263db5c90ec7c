"""Pre-norm transformer blocks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aebuild.modules.lengths import lengths_in, mean_place
from aebuild.modules.recording import recording
from aebuild.modules.stage import Contextual

PLAIN_UP_TO = 256     # positions; measured, see attend
Kernel = Literal["auto", "plain", "fused"]


def attend(q: Tensor, k: Tensor, v: Tensor, causal: bool, kernel: Kernel = "auto", lengths: Tensor | None = None) -> Tensor:
    """softmax(QKᵀ/√d)V for [N, heads, T, d]; `causal` hides later positions, `lengths` [N] what is behind the end of each series.

    `plain` and `fused` name the kernel. By itself it is fused on a GPU, and on a CPU plain for short sequences: with matrix
    products at `medium` precision plain ones train 12 times as fast as fused attention at 49 positions, 3 times at 196 and
    equally fast at 256 (at full precision .6 to 1.1 times). Beyond, fused wins at either precision, and never holds the scores
    [N, heads, T, T], and a recorded program has it whatever the length.
    """
    length = q.shape[2]
    hidden = _hidden(q, causal, lengths)
    if kernel == "fused" or (kernel == "auto" and (recording() or q.device.type == "cuda" or length > PLAIN_UP_TO)):
        return F.scaled_dot_product_attention(q, k, v, None if hidden is None else ~hidden, is_causal=causal and hidden is None)
    scores = (q * q.shape[3] ** -0.5) @ k.transpose(2, 3)                                    # (N, heads, T, T)
    if causal and hidden is None:
        hidden = _later(q)
    if hidden is not None:
        scores = scores.masked_fill(hidden, -math.inf)
    result: Tensor = scores.softmax(3) @ v
    return result


def _later(q: Tensor) -> Tensor:
    """True where a key comes after the query, [T, T]."""
    return torch.ones(q.shape[2], q.shape[2], dtype=torch.bool, device=q.device).triu(1)


def _hidden(q: Tensor, causal: bool, lengths: Tensor | None) -> Tensor | None:
    """True at keys that a query does not see, [N, 1, 1 or T, T]; None where all series are whole."""
    if lengths is None:
        return None
    padding = (torch.arange(q.shape[2], device=q.device) >= lengths[:, None])[:, None, None]            # (N, 1, 1, T)
    return padding | _later(q) if causal else padding


class Attention(nn.Module):
    """Self-attention with several heads (Vaswani et al., 2017)."""

    def __init__(self, qkv: nn.Module, out: nn.Module, heads: int, causal: bool) -> None:
        super().__init__()
        self.qkv = qkv
        self.out = out
        self.heads = heads
        self.causal = causal
        self.kernel: Kernel = "auto"

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """[N, T, D] to the same; of series of unequal length no place sees the padding."""
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind()      # (N, heads, T, d) each
        result: Tensor = self.out(attend(q, k, v, self.causal, self.kernel, lengths).transpose(1, 2).flatten(2))
        return result

    def extra_repr(self) -> str:
        """Heads and mask."""
        return f"heads={self.heads}, causal={self.causal}"


class LearnedPositions(nn.Module):
    """Adds a learned vector to each position."""

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(length, width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Normal with standard deviation 0.02."""
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """[N, T, D] to the same."""
        return x + self.weight

    def extra_repr(self) -> str:
        """Length and width."""
        return f"{self.weight.shape[0]}, {self.weight.shape[1]}"


class SinusoidalPositions(nn.Module):
    """Adds sines and cosines of geometrically spaced frequencies to each position (Vaswani et al., 2017)."""

    table: Tensor

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.register_buffer("table", sinusoids(length, width), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """[N, T, D] to the same."""
        return x + self.table

    def extra_repr(self) -> str:
        """Length and width."""
        return f"{self.table.shape[0]}, {self.table.shape[1]}"


def sinusoids(length: int, width: int) -> Tensor:
    """[length, width]: sin(t/10000^(2i/width)) at feature 2i, its cosine at 2i+1."""
    rates = 10000.0 ** (-torch.arange(0, width, 2) / width)
    angles = torch.arange(length)[:, None] * rates                                           # (T, ⌈D/2⌉)
    return torch.stack([angles.sin(), angles.cos()], 2).flatten(1)[:, :width]


class Block(Contextual):
    """Attention, then a two-layer network, each normalised before and added to what came in (Xiong et al., 2020).

    `steps` holds `attention_norm`, `attention`, `mlp_norm` and `mlp`, and where they are wanted `embed` and `positions` in front,
    `attention_dropout` and `mlp_dropout` on what is added, and `norm` behind.
    """

    def __init__(self, steps: Mapping[str, nn.Module], returns: str) -> None:
        super().__init__()
        for name, module in steps.items():
            self.add_module(name, module)
        self.returns = returns

    def forward(self, x: Tensor, context: dict[str, Any] | None = None) -> Tensor:
        """[N, T, D] to [N, T, width], or to [N, width] averaged over positions."""
        lengths = lengths_in(context)
        x = self._through(x, lengths, "embed", "positions")
        x = x + self._through(x, lengths, "attention_norm", "attention", "attention_dropout")
        x = x + self._through(x, lengths, "mlp_norm", "mlp", "mlp_dropout")
        x = self._through(x, lengths, "norm")
        return mean_place(x, lengths) if self.returns == "mean" else x

    def _through(self, x: Tensor, lengths: Tensor | None, *names: str) -> Tensor:
        """Those of the named steps that exist, in order."""
        for name in names:
            module = self._modules.get(name)
            if module is not None:
                x = module(x, lengths) if isinstance(module, Attention) else module(x)
        return x

    def extra_repr(self) -> str:
        """What it returns."""
        return f"returns={self.returns}"
