"""Decoders that read their own target: p(x|z) as a product over places, each from those before it and the code."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from aebuild.modules.randomness import Random
from aebuild.modules.stage import Contextual

Walk = Generator[Tensor, Tensor, None]


class Entry(nn.Module):
    """True values as a network takes them in: an embedding of symbols, or numbers of a known range brought to [-1, 1].

    `classes` are those of symbols, with `width` features each; `low` and `high` bound numbers, None where they are not known.
    Features stand on `axis`; with `first` those of a series [N, T, C] move to axis 1. Of data with `gaps` right behind each number stands a
    one where it is missing, and a zero for it.
    """

    def __init__(self, classes: int | None, width: int, low: float | None, high: float | None, *, axis: int, first: bool,
                 gaps: bool = False) -> None:
        super().__init__()
        self.embed = None if classes is None else nn.Embedding(classes, width)
        known = low is not None and high is not None and high > low
        self.middle = (low + high) / 2 if known else 0.0  # type: ignore[operator]
        self.extent = (high - low) / 2 if known else 1.0  # type: ignore[operator]
        self.axis, self.first, self.gaps = axis, first, gaps

    def forward(self, values: Tensor, known: Tensor | None = None) -> Tensor:
        """[N, ...] like the data, and which of them are known where not all are, to features."""
        x = (values - self.middle) / self.extent if self.embed is None else self.embed(values)
        if self.gaps:
            x = self._told(x, known)
        return x.transpose(1, 2) if self.first else x

    def _told(self, x: Tensor, known: Tensor | None) -> Tensor:
        """[N, C, ...] to [N, 2·C, ...], or [N, T, C] to [N, T, 2·C]."""
        missing = torch.zeros_like(x) if known is None else (~known).to(x.dtype)
        held = x if known is None else x.masked_fill(~known, 0.0)
        behind = self.axis + 1 if self.axis > 0 else -1
        return torch.stack([held, missing], behind).flatten(behind - 1, behind)

    def extra_repr(self) -> str:
        """What numbers are brought to [-1, 1]."""
        return f"middle={self.middle:g}, extent={self.extent:g}, first={self.first}{', gaps' if self.gaps else ''}"


def at_places(code: Tensor, rank: int) -> Tensor:
    """A code [N, D] as one place of a grid of `rank` axes; one with places as it is."""
    return code if code.ndim > 2 else code.view(*code.shape, *(1,) * rank)


class CausalNetwork(nn.Module):
    """What an Autoregression runs: features at each place, of the places before it and of the code.

    `entry` takes the true values in. `forward(code, entered)` gives all places at once, `walk` one after the other, which is the same:
    it yields the features of a place, laid out like data that have one place, and is sent what was entered of the value there. Where
    the values of a place are made in several `steps`, one channel after the other, `walk` does so for each of them, and `forward` has
    the features of all steps, one after the other on the axis of samples.
    """

    entry: Entry
    steps = 1

    def walk(self, code: Tensor, size: Sequence[int]) -> Walk:
        """The features place by place, each once, with what is remembered of those before."""
        raise TypeError(f"{type(self).__name__} has no walk")


class Autoregression(Contextual, Random):
    """A causal network and what stands behind it, up to the likelihood's parameters.

    Where the context has the `target`, as in training and evaluation, all places are computed at once from the true values before
    them, of which its `mask` says which are known. Else each value is drawn in turn from the likelihood, by its `draw` in the context,
    and put there as `generated`. While training, a share `input_dropout` of the places is hidden from those behind it (word dropout,
    Bowman et al., 2016).
    """

    def __init__(self, network: CausalNetwork, tail: nn.Module, shape: Sequence[int], axis: int, input_dropout: float) -> None:
        super().__init__()
        self.network = network
        self.tail = tail
        self.shape, self.axis = tuple(shape), axis
        self.input_dropout = input_dropout

    def forward(self, x: Tensor, context: dict[str, Any]) -> Tensor:
        """A code [N, D] or [N, ...] with places like the target's, to the likelihood's parameters."""
        truth: Tensor | None = context.get("target")
        if truth is None:
            return self._generated(x, context)
        entered = self.network.entry(truth, context.get("mask"))
        if self.training and self.input_dropout:
            entered = entered * self._kept(entered)
        return self.at_once(x, entered)

    def at_once(self, code: Tensor, entered: Tensor) -> Tensor:
        """The likelihood's parameters at all places, from a code and what was entered of the true values."""
        params, *later = self.tail(self.network(code, entered)).unflatten(0, (self.network.steps, -1)).unbind()
        for step, found in enumerate(later, start=1):
            params = self._from(step, params, found)
        return params  # type: ignore[no-any-return]

    def _from(self, step: int, before: Tensor, found: Tensor) -> Tensor:
        """One tensor's channels before those of a step, and the other's from there on; both [N, steps·K, ...]."""
        first = step * (found.shape[1] // self.network.steps)
        return torch.cat([before[:, :first], found[:, first:]], 1)

    def _kept(self, entered: Tensor) -> Tensor:
        """One where a place is seen, zero where it is hidden; all features of a place alike."""
        axis = 1 if self.network.entry.first or self.axis == 1 else -1
        shape = list(entered.shape)
        shape[axis] = 1
        return (self.drawn(torch.rand, shape, entered.device) >= self.input_dropout).to(entered.dtype)

    def _generated(self, x: Tensor, context: dict[str, Any]) -> Tensor:
        """One place after the other, in raster order."""
        chances = self._in_order(self.drawn(torch.rand, (x.shape[0], *self.shape), x.device))
        walk = self.network.walk(x, self.shape[:1] if self._series else self.shape[1:])
        params: list[Tensor] = []
        values: list[Tensor] = []
        hidden = next(walk)
        for chance in chances:
            params.append(self.tail(hidden))
            values.append(context["draw"](params[-1], chance))
            for step in range(1, self.network.steps):
                params[-1] = self._from(step, params[-1], self.tail(walk.send(self.network.entry(values[-1]))))
                values[-1] = self._from(step, values[-1], context["draw"](params[-1], chance))
            if len(values) < len(chances):
                hidden = walk.send(self.network.entry(values[-1]))
        context["generated"] = self._placed(values)
        return self._placed(params)

    @property
    def _series(self) -> bool:
        """True of what is no grid: tokens [N, T] and series [N, T, C]."""
        return self.axis != 1

    def _in_order(self, drawn: Tensor) -> list[Tensor]:
        """What belongs to each place, laid out like the data with one place."""
        if self._series:
            return list(torch.split(drawn, 1, 1))
        return [each.view(*each.shape[:2], *(1 for _ in self.shape[1:])) for each in drawn.flatten(2).unbind(2)]

    def _placed(self, each: list[Tensor]) -> Tensor:
        """The same put together again."""
        if self._series:
            return torch.cat(each, 1)
        return torch.unflatten(torch.stack([part.flatten(1) for part in each], 2), 2, self.shape[1:])

    def extra_repr(self) -> str:
        """The places and the share of hidden ones."""
        places = self.shape[0] if self._series else prod(self.shape[1:])
        return f"places={places}, input_dropout={self.input_dropout}"
