"""A simple recurrent layer."""

from __future__ import annotations

from typing import Literal

from aebuild.lang.part import knob
from aebuild.lang.recurrent import Recurrent


class RNN(Recurrent):
    """A simple recurrent layer over a sequence (Elman, 1990)."""

    type: Literal["rnn"] = "rnn"
    example = ("data: {type: series, path: wave.csv, window: {length: 8, stride: 2}}\n"
               "encoder: [rnn: {width: 3, dropout: 0.2}, rnn: 3]\n"
               "decoder: [rnn: {width: 3, feed: previous, teacher_forcing: {from: 1, to: 0.2, over: 4 steps}}]\n"
               "train: {steps: 6, batch_size: 10}")
    also = ("simple_rnn", "recurrent")
    nonlinearity: Literal["tanh", "relu"] = knob("tanh", "what makes the new state of the sum", affects="graph")

    @property
    def mode(self) -> str:
        """The word torch has, which names the nonlinearity too."""
        return f"RNN_{self.nonlinearity.upper()}"
