"""What a player minimises: weighted terms, of which a bound may join some sample by sample."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from aebuild.lang.schedule import Ramp
from aebuild.modules.collectives import gathered, portion, repeated, shared, total, whole
from aebuild.trainer.lr import Clock

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aebuild.lang.terms import Bound, Term, TermPlan

BOUND = "bound"        # what joined terms are logged as
LAST = sys.maxsize     # the step of a phase at which every schedule has arrived


class Objective:
    """What a player minimises at any step of its phase: the weighted sum of its terms, of which a bound may join some first."""

    def __init__(self, terms: Iterable[TermPlan], clock: Clock, bound: Bound | None = None) -> None:
        self._terms = [(term.name, term.config, term.elements, _constant(term.config.weight)) for term in terms]
        self._clock = clock
        self._joined = tuple(name for name, *_ in self._terms if bound is not None and name in bound.joined)
        self._bound = bound.build_bound() if bound is not None and self._joined else None
        names = tuple(name for name, *_ in self._terms)
        self._beside = () if bound is None or self._bound is None else bound.beside
        self.names = (*names, *self._beside)
        balances = bound is not None and bound.balances and len(names) > 1
        self._balance: Any = bound.build_balance(names) if bound is not None and balances else None

    def reduced(self, raw: dict[str, Tensor], step: int, draws: int = 1, weights: Tensor | None = None) -> dict[str, Tensor]:
        """The scalar of each of the player's terms that this batch has, unweighted, and `bound`; of a shared batch this part's portion.

        `weights`, [N], are how much the samples count.
        """
        if weights is not None:
            raw = {name: term if term.ndim == 0 else _weighted(term, weights) for name, term in raw.items()}
        at = partial(self._clock.dial, step=step)
        found = {name: _reduced(config.settled(at), raw[name], elements, draws) for name, config, elements, _ in self._terms if name in raw}
        if self._bound is not None:
            joined = {given: (config.by_sample(raw[given], elements) * self._weight(config, constant, step)).view(-1, draws)
                      for name, config, elements, constant in self._terms if name in self._joined
                      for given in (name, *(self._beside if name == "reconstruction" else ()))}
            by_sample: Tensor = self._bound(joined)
            with repeated(1):                    # one number a sample, however many draws it was made from
                found[BOUND] = _of_batch(by_sample, by_sample.mean())
        return found

    @property
    def learning(self) -> Any:
        """The bound's module if it learns from what a batch came to, else None."""
        return self._balance if self._balance is not None else self._bound if hasattr(self._bound, "observe") else None

    def slopes(self, reduced: dict[str, Tensor], features: Tensor | None) -> dict[str, Tensor]:
        """Where terms are balanced, the squared norm of each one's gradient at the encoder's output: this part's portion of it."""
        if self._balance is None or features is None or not features.requires_grad:
            return {}
        found = {}
        for name in self.names:
            if name in reduced and reduced[name].requires_grad:
                gradient, = torch.autograd.grad(reduced[name], features, retain_graph=True, allow_unused=True)
                found[name] = features.new_zeros(()) if gradient is None else gradient.square().sum()
        return found

    def observe(self, reduced: dict[str, Tensor], slopes: dict[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Shows a bound that learns what its terms were in the batch that was just trained on, of which this may be a part.

        Returns what is to be logged of it.
        """
        if self.learning is None:
            return {}
        names = self._joined if self._balance is None else self.names
        means = {name: total(reduced[name].detach()) for name in names if name in reduced}
        if self._balance is None:
            self.learning.observe(means)
        elif slopes:
            self.learning.observe(means, {name: total(square).sqrt() for name, square in slopes.items()})
        return self.learning.figures() if hasattr(self.learning, "figures") else {}

    def share(self, other: Objective) -> None:
        """Takes the other's bound for its own, so that both know the same of the training."""
        self._bound, self._balance = other._bound, other._balance

    def to(self, device: torch.device) -> None:
        """Moves the bound to where the terms are."""
        for module in (self._bound, self._balance):
            if module is not None:
                module.to(device)

    def state(self) -> dict[str, Tensor]:
        """What the bound has learned, for a checkpoint."""
        return {} if self.learning is None else dict(self.learning.state_dict())

    def load(self, state: dict[str, Tensor]) -> None:
        """What a checkpoint has of it, nothing where the bound was another one."""
        if self.learning is not None and set(state) == set(self.learning.state_dict()):
            self.learning.load_state_dict(state)

    def _weight(self, config: Term, constant: float | None, step: int) -> float:
        return self._clock.dial(config.weight, step) if constant is None else constant

    def loss(self, reduced: dict[str, Tensor], step: int) -> Tensor:
        """What the player minimises at this batch of the phase."""
        total: Tensor | None = reduced[BOUND] if self._bound is not None else None
        if self._balance is not None:
            return self._balanced(reduced, step)
        for name, config, _, constant in self._terms:
            if name in reduced and name not in self._joined:
                weight = self._weight(config, constant, step)
                part = reduced[name] if weight == 1.0 else reduced[name] * weight
                total = part if total is None else total + part
        assert total is not None, "the plan gives every player a term that every batch has"
        return total

    def _balanced(self, reduced: dict[str, Tensor], step: int) -> Tensor:
        weights = {name: self._weight(config, constant, step) for name, config, _, constant in self._terms if name in reduced}
        return torch.stack([reduced[name] * factor for name, factor in self._balance(weights).items()]).sum()

    def score(self, means: dict[str, float]) -> float:
        """The loss of these mean terms under the weights that the phase ends with, so that schedules do not confound it."""
        return self.now(means, self._clock.total)

    def now(self, means: dict[str, float], step: int) -> float:
        """The loss of these mean terms under the weights of this batch of the phase."""
        rest = sum(self._clock.dial(config.weight, step) * means[name] for name, config, _, _ in self._terms
                   if name in means and name not in self._joined)
        return rest + means[BOUND] if self._bound is not None else rest


def _weighted(term: Tensor, weights: Tensor) -> Tensor:
    """A raw term [N·draws, ...] of samples that count so much, [N]."""
    by_row = weights.repeat_interleave(term.shape[0] // weights.shape[0])
    return term * by_row.view(-1, *(1,) * (term.ndim - 1))


def _reduced(config: Term, raw: Tensor, elements: int, draws: int) -> Tensor:
    """A term's scalar, or this part's portion of it."""
    if config.pools and shared():
        return portion(config.reduce(gathered(raw, draws), elements))
    return _of_batch(raw, config.reduce(raw, elements))


def _of_batch(raw: Tensor, reduced: Tensor) -> Tensor:
    """A term's portion of the whole batch's mean; a scalar is the same for all parts already."""
    if not shared():
        return reduced
    rows = raw.shape[0] if raw.ndim else 0
    return portion(reduced) if raw.ndim == 0 else reduced * (rows / whole(rows)) if rows else raw.sum()


def _constant(dial: Any) -> float | None:
    return None if isinstance(dial, Ramp | list) else float(dial)
