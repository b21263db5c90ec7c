"""A gated recurrent unit."""

from __future__ import annotations

from typing import Literal

from aebuild.lang.recurrent import Recurrent


class GRU(Recurrent):
    """A gated recurrent unit over a sequence (Cho et al., 2014)."""

    type: Literal["gru"] = "gru"
    example = ("data: {type: series, path: wave.csv, window: {length: 8, stride: 2}}\n"
               "encoder: [gru: {width: 3, dropout: 0.2}, gru: {width: 3, returns: mean}]\n"
               "decoder: [gru: {width: 3, feed: previous, teacher_forcing: 0.3}]")
    gates = 3
    remembers = 7
