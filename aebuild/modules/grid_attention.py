"""Attention among the places of a grid."""

from __future__ import annotations

from torch import Tensor, nn

from aebuild.modules.transformer import MultiHead, attend


class GridAttention(MultiHead):
    """Every place of a waveform, image or volume asks every other, and adds what it is answered (Rombach et al., 2022)."""

    def __init__(self, norm: nn.Module, qkv: nn.Module, out: nn.Module, heads: int) -> None:
        super().__init__(heads)
        self.norm = norm
        self.qkv = qkv
        self.out = out

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, *S] to the same."""
        asked = self.qkv(self.norm(x)).flatten(2).unflatten(1, (3, self.heads, -1))                  # (N, 3, heads, d, P)
        q, k, v = asked.permute(1, 0, 2, 4, 3).unbind()                                              # (N, heads, P, d) each
        seen = attend(q, k, v, False, self.kernel).transpose(2, 3).reshape(x.shape)
        added: Tensor = self.out(seen)
        return x + added

    def extra_repr(self) -> str:
        """Heads."""
        return f"heads={self.heads}"
