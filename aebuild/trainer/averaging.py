"""The average of the weights over the steps of a phase, which is what is judged and kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn, get_swa_multi_avg_fn

from aebuild.trainer.distributed.fsdp import local
from aebuild.trainer.players import fitting

if TYPE_CHECKING:
    from aebuild.lang.training import Average
    from aebuild.trainer.lr import Clock


class WeightAverage:
    """The average of parameters over the steps, beside those that are trained.

    While it is shown the parameters hold the average, and `others` the weights that are trained; otherwise it is the other way round.
    Before the first step that counts there is nothing to show. Divided weights are averaged piece by piece.
    """

    def __init__(self, params: Sequence[nn.Parameter], config: Average, clock: Clock) -> None:
        self.params = list(params)
        self.others: list[Tensor] = []
        self.count = 0
        self.shown = False
        self._begin = clock.in_steps(config.after)
        self._add: Any = get_swa_multi_avg_fn() if config.decay is None else get_ema_multi_avg_fn(config.decay)  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def update(self, step: int) -> None:
        """After a batch of the phase: what its steps have made of the weights counts, from the first one of the averaging on."""
        if step < self._begin:
            return
        if not self.count:
            self.others = [parameter.detach().clone() for parameter in self.params]
        else:
            own = [local(parameter.detach()) for parameter in self.params]
            self._add([local(other) for other in self.others], own, torch.tensor(self.count))
        self.count += 1

    @torch.no_grad()
    def _exchange(self) -> None:
        for parameter, other in zip(self.params, self.others, strict=True):
            own, beside = local(parameter.detach()), local(other)
            held = own.clone()
            own.copy_(beside)              # in their own memory, which replicas share
            beside.copy_(held)
        self.shown = not self.shown

    def show(self) -> None:
        """From now on the parameters hold the average."""
        if self.count and not self.shown:
            self._exchange()

    def hide(self) -> None:
        """From now on they hold the weights that are trained."""
        if self.shown:
            self._exchange()

    @contextmanager
    def showing(self) -> Iterator[None]:
        """While entered, the parameters hold the average."""
        before = self.shown
        self.show()
        try:
            yield
        finally:
            if not before:
                self.hide()

    def state(self) -> dict[str, Any]:
        """For a checkpoint whose model holds the average: the weights that are trained."""
        assert self.shown or not self.count, "a checkpoint holds the average as its model"
        return {"count": self.count, "others": self.others}

    def load(self, state: dict[str, Any]) -> None:
        """The state of a checkpoint, whose average the parameters hold; they hold the weights that are trained afterwards."""
        if any(other.shape != parameter.shape for other, parameter in zip(state["others"], self.params, strict=False)):
            raise ValueError("its averaged weights are of other shapes")
        self.count = state["count"]
        self.others = [fitting(other, parameter) for other, parameter in zip(state["others"], self.params, strict=bool(self.count))]
        self.shown = self.count > 0
        self.hide()
