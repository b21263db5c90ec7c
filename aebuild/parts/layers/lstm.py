"""A long short-term memory."""

from __future__ import annotations

from typing import Literal

from aebuild.lang.recurrent import Recurrent


class LSTM(Recurrent):
    """A long short-term memory over a sequence (Hochreiter and Schmidhuber, 1997)."""

    type: Literal["lstm"] = "lstm"
    example = ("data: {type: series, path: wave.csv, window: {length: 8, stride: 2}}\n"
               "encoder: [lstm: {width: 3, returns: sequence, dropout: 0.2}, lstm: 3]\n"
               "decoder: [lstm: {width: 3, feed: previous, teacher_forcing: 0.5}]")
    gates = 4
    states = 2
    remembers = 18
