"""Learned queries that read a sequence: as many places as there are queries come of any number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from aebuild.modules.stage import Contextual
from aebuild.modules.transformer import MultiHead, attend

Keys = tuple[Tensor, Tensor]      # keys and values, [N, heads, T, d] each


class QueryAttention(MultiHead):
    """Attention of one sequence to another, with several heads (Vaswani et al., 2017)."""

    def __init__(self, q: nn.Module, kv: nn.Module, out: nn.Module, heads: int) -> None:
        super().__init__(heads)
        self.q = q
        self.kv = kv
        self.out = out

    def forward(self, queries: Tensor, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """[N, M, D] that ask [N, T, D], of which the first `lengths` [N] places are real, to [N, M, D]."""
        return self.asked(queries, self.keys(x), lengths)

    def keys(self, x: Tensor) -> Keys:
        """The keys and values of a sequence [N, T, D]."""
        k, v = self.kv(x).unflatten(2, (2, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind()
        return k, v

    def asked(self, queries: Tensor, keys: Keys, lengths: Tensor | None = None) -> Tensor:
        """The same as `forward` of a sequence with these keys and values."""
        q = self.q(queries).unflatten(2, (self.heads, -1)).transpose(1, 2)                           # (N, heads, M, d)
        result: Tensor = self.out(attend(q, *keys, False, self.kernel, lengths).transpose(1, 2).flatten(2))
        return result

    def extra_repr(self) -> str:
        """Heads."""
        return f"heads={self.heads}"


class QueriedBlock(Contextual):
    """Learned queries ask a sequence, then a two-layer network, each normalised before and added (Jaegle et al., 2021).

    `steps` holds `queries` (whose `weight` they are), `query_norm`, `input_norm`, `attention`, `mlp_norm` and `mlp`, and where they
    are wanted `tell`, which makes a sequence of a vector, or `embed` and `positions` of what is read, `attention_dropout` and
    `mlp_dropout` on what is added, and `norm` behind.
    """

    def __init__(self, steps: Mapping[str, nn.Module], width: int) -> None:
        super().__init__()
        for name, module in steps.items():
            self.add_module(name, module)
        self.width = width

    def forward(self, x: Tensor, context: dict[str, Any] | None = None) -> Tensor:
        """[N, T, D] or [N, D] to [N, M, width]; the lengths of series leave the context, since all M places are real."""
        lengths = None if context is None else context.pop("lengths", None)
        if "tell" in self._modules:
            x = self._through(x, "tell").reshape(x.shape[0], -1, self.width)
        x = self._through(x, "embed", "positions", "input_norm")
        weight = self.get_submodule("queries").weight
        assert isinstance(weight, Tensor)
        y = weight.expand(x.shape[0], -1, -1)
        y = y + self._through(self.get_submodule("attention")(self._through(y, "query_norm"), x, lengths), "attention_dropout")
        y = y + self._through(y, "mlp_norm", "mlp", "mlp_dropout")
        return self._through(y, "norm")

    def _through(self, x: Tensor, *names: str) -> Tensor:
        """Those of the named steps that exist, in order."""
        for name in names:
            module = self._modules.get(name)
            x = x if module is None else module(x)
        return x

    def extra_repr(self) -> str:
        """The width."""
        return f"width={self.width}"
