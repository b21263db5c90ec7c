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


def attend(q: Tensor, k: Tensor, v: Tensor, causal: bool, kernel: Kernel = "auto", lengths: Tensor | None = None, *,
           window: int | None = None, slopes: Tensor | None = None) -> Tensor:
    """softmax(QKᵀ/√d + bias)V for [N, heads, T, d] and keys of as many or other places.

    Hidden are later places if `causal`, places further than `window` to either side, and what is behind the end of each series,
    `lengths` [N]. The bias falls with distance, by `slopes` [heads].

    `plain` and `fused` name the kernel. By itself it is fused on a GPU, and on a CPU plain for short sequences: with matrix
    products at `medium` precision plain ones train 12 times as fast as fused attention at 49 positions, 3 times at 196 and
    equally fast at 256 (at full precision .6 to 1.1 times). Beyond, fused wins at either precision, and never holds the scores
    [N, heads, T, T], and a recorded program has it whatever the length.
    """
    simple = lengths is None and window is None and slopes is None
    large = q.shape[2] * k.shape[2] > PLAIN_UP_TO ** 2
    fused = kernel == "fused" or (kernel == "auto" and (recording() or q.device.type == "cuda" or large))
    hidden = None if simple and fused else hidden_keys(q, k, causal, lengths, window)
    bias = None if slopes is None else distance_bias(q, slopes)
    if fused:
        mask = bias if hidden is None else ~hidden if bias is None else bias.masked_fill(hidden, -math.inf)
        return F.scaled_dot_product_attention(q, k, v, mask, is_causal=causal and simple)
    scores = (q * q.shape[3] ** -0.5) @ k.transpose(2, 3)                                    # (N, heads, T, T')
    if bias is not None:
        scores = scores + bias
    if hidden is not None:
        scores = scores.masked_fill(hidden, -math.inf)
    result: Tensor = scores.softmax(3) @ v
    return result


def hidden_keys(q: Tensor, k: Tensor, causal: bool, lengths: Tensor | None = None, window: int | None = None) -> Tensor | None:
    """True at keys that a query does not see, spread over [N, heads, T, T']; None where each sees all."""
    asking, asked = torch.arange(q.shape[2], device=q.device)[:, None], torch.arange(k.shape[2], device=q.device)
    found = [asked > asking] if causal else []
    if window is not None:
        found.append((asking - asked).abs() > window)
    if lengths is not None:
        padding = (asked >= lengths[:, None])[:, None, None]                                 # (N, 1, 1, T')
        found.append(padding & (asking != asked) if window is not None else padding)         # one that saw no key would be NaN
    hidden: Tensor | None = None
    for each in found:
        hidden = each if hidden is None else hidden | each
    return hidden


def attend_nearby(q: Tensor, k: Tensor, v: Tensor, causal: bool, window: int, block: int, lengths: Tensor | None = None,
                  slopes: Tensor | None = None) -> Tensor:
    """What `attend` gives with this window, where blocks of `block` places, at least as long, see their neighbours alone.

    Scores are [N, heads, blocks, block, 3 block], of two blocks of keys if `causal`: they grow with the length, not with its square.
    """
    length, behind = q.shape[2], 0 if causal else block
    blocks = -(-length // block)
    more = blocks * block - length
    queries = F.pad(q * q.shape[3] ** -0.5, (0, 0, 0, more)).reshape(*q.shape[:2], blocks, block, -1)        # (N, heads, B, b, d)
    keys, values = (F.pad(x, (0, 0, block, more + behind)).unfold(2, 2 * block + behind, block) for x in (k, v))      # (N, heads, B, d, K)
    first = torch.arange(blocks, device=q.device)[:, None, None] * block
    asking = first + torch.arange(block, device=q.device)[:, None]                                           # (B, b, 1)
    asked = first - block + torch.arange(keys.shape[4], device=q.device)                                     # (B, 1, K)
    distance = (asking - asked).abs()
    ends = length if lengths is None else lengths[:, None, None, None, None]
    hidden = (distance > window) | (asked < 0) | ((asked >= ends) & (asking != asked))          # one that saw no key would be NaN
    if causal:
        hidden = hidden | (asked > asking)
    scores = queries @ keys
    if slopes is not None:
        scores = scores - (slopes[:, None, None, None] * distance).to(q.dtype)
    seen: Tensor = scores.masked_fill(hidden, -math.inf).softmax(4) @ values.transpose(3, 4)
    return seen.flatten(2, 3)[:, :, :length]


def distance_bias(q: Tensor, slopes: Tensor) -> Tensor:
    """[heads, T, T]: minus the slope times the distance of two places (Press et al., 2022)."""
    places = torch.arange(q.shape[2], device=q.device)
    return (-slopes[:, None, None] * (places[:, None] - places).abs()).to(q.dtype)


def alibi_slopes(heads: int) -> Tensor:
    """[heads]: 2^(-8/n), its square, and so on for n heads, a power of two; else those of the next lower one, then others between."""
    power = 2 ** (heads.bit_length() - 1)
    slopes = [2 ** (-8 * (i + 1) / power) for i in range(power)] + [2 ** (-4 * (2 * i + 1) / power) for i in range(heads - power)]
    return torch.tensor(slopes)


def rotary(x: Tensor, first: int = 0) -> Tensor:
    """[N, heads, T, d], d even: features 2i and 2i+1 at place t turned by the angle (first + t)/10000^(2i/d) (Su et al., 2021).

    The product of two such vectors depends on the difference of their places alone.
    """
    rates = 10000.0 ** (-torch.arange(0, x.shape[3], 2, device=x.device) / x.shape[3])
    angles = (first + torch.arange(x.shape[2], device=x.device))[:, None] * rates            # (T, d/2)
    cos, sin = angles.cos(), angles.sin()
    even, odd = x[..., ::2], x[..., 1::2]
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], 4).flatten(3).to(x.dtype)


class MultiHead(nn.Module):
    """What attention of any sort has: a number of heads, and a kernel that computes it."""

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.kernel: Kernel = "auto"


class Attention(MultiHead):
    """Self-attention with several heads (Vaswani et al., 2017), of all places or of a window, which may know of distances.

    With `block` the places are cut into blocks, which see their neighbours alone (Beltagy et al., Longformer, 2020).
    """

    slopes: Tensor | None

    def __init__(self, qkv: nn.Module, out: nn.Module, heads: int, causal: bool, *, window: int | None = None,
                 relative: Literal["rotary", "alibi"] | None = None, block: int | None = None) -> None:
        super().__init__(heads)
        self.qkv = qkv
        self.out = out
        self.causal = causal
        self.window = window
        self.block = block
        self.relative = relative
        self.register_buffer("slopes", alibi_slopes(heads) if relative == "alibi" else None, persistent=False)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """[N, T, D] to the same; of series of unequal length no place sees the padding."""
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind()      # (N, heads, T, d) each
        if self.relative == "rotary":
            q, k = rotary(q), rotary(k)
        if self.window is not None and self.block is not None and not recording():            # a program is for any length
            seen = attend_nearby(q, k, v, self.causal, self.window, self.block, lengths, self.slopes)
        else:
            seen = attend(q, k, v, self.causal, self.kernel, lengths, window=self.window, slopes=self.slopes)
        result: Tensor = self.out(seen.transpose(1, 2).flatten(2))
        return result

    def extra_repr(self) -> str:
        """Heads, mask and what is known of distances."""
        told = {"window": self.window, "block": self.block, "relative": self.relative}
        more = [f"{name}={value}" for name, value in told.items() if value is not None]
        return ", ".join([f"heads={self.heads}, causal={self.causal}", *more])


class Gate(nn.Module):
    """Half of the features through a nonlinearity, times the other half (Dauphin et al., 2017; Shazeer, 2020)."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """[N, T, 2 D] to [N, T, D]."""
        opening, through = x.chunk(2, 2)
        result: Tensor = self.activation(opening) * through
        return result


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
