"""A gated recurrent unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.recurrent import Recurrent

if TYPE_CHECKING:
    from torch import nn


class GRU(Recurrent):
    """A gated recurrent unit over a sequence (Cho et al., 2014)."""

    type: Literal["gru"] = "gru"
    gates = 3

    def build_cell(self, inputs: int) -> nn.Module:
        """The GRU of torch."""
        from torch import nn

        return nn.GRU(inputs, self.width, batch_first=True, bidirectional=self.bidirectional)
