"""How data are made with the program of a decoder that reads its own target."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from aebuild.lang.values import Tokens

if TYPE_CHECKING:
    from aebuild.results.trained_run import TrainedRun

HOW = ("Begin with a target of any values. At each place in raster order (of a grid the last axis first): run the program, take its "
       "output there, which is the distribution given the code and all places before, choose or draw a value, and put it into the target. "
       "What stands at a place and behind it does not change the output there.")
IN_TURN = " The features of a place are filled in turn, one run each: each is told those before it."


@dataclass(frozen=True)
class Generation:
    """What a loop around the program must know.

    `shape` is that of one target, whose features stand on `feature_axis`, None of symbols; they are filled `in_turn` or all at once.
    `passes` is how often the program runs for a batch. `values` are what the last axis of log-probabilities counts, in raw units: one
    list, or one for each feature where these are scaled apart; None where the outputs are a place and a spread.
    """

    shape: tuple[int, ...]
    feature_axis: int | None
    in_turn: bool
    passes: int
    values: list[float] | list[list[float]] | None
    how: str


def generation(run: TrainedRun) -> Generation | None:
    """Of a run whose decoder draws the data place by place; None of others."""
    node, target = run.plan.autoregression, run.plan.target
    if node is None:
        return None
    axis = None if isinstance(target, Tokens) else (target.feature_axis - 1 if target.feature_axis > 0 else len(target.shape) - 1)
    steps = node.children[0].args.get("steps", 1)
    return Generation(target.shape, axis, steps > 1, prod(target.places) * steps, _values(run, axis), HOW + (IN_TURN if steps > 1 else ""))


def _values(run: TrainedRun, axis: int | None) -> list[float] | list[list[float]] | None:
    levels, scaling, shape = run.model.likelihood.support(), run.target_scaling or run.scaling, run.plan.target.shape
    if levels is None:
        return None
    spread = np.broadcast_to(levels.numpy().reshape(-1, *(1,) * len(shape)), (len(levels), *shape))
    raw = scaling.undo(np.ascontiguousarray(spread))
    by_feature = raw.reshape(len(levels), -1)[:, :1] if axis is None or len(scaling.offset) == 1 else np.moveaxis(raw, axis + 1, 1).reshape(
        len(levels), shape[axis], -1)[:, :, 0]
    lists: list[list[float]] = by_feature.T.tolist()
    return lists[0] if len(lists) == 1 else lists
