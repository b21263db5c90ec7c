"""A long short-term memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.recurrent import Recurrent

if TYPE_CHECKING:
    from torch import nn


class LSTM(Recurrent):
    """A long short-term memory over a sequence (Hochreiter and Schmidhuber, 1997)."""

    type: Literal["lstm"] = "lstm"
    gates = 4
    states = 2

    def build_cell(self, inputs: int) -> nn.Module:
        """The LSTM of torch."""
        from torch import nn

        return nn.LSTM(inputs, self.width, batch_first=True, bidirectional=self.bidirectional)
