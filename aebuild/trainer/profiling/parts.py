"""The parts of a training step, marked while it is profiled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from torch.autograd.profiler import record_function

if TYPE_CHECKING:
    from torch import nn

    from aebuild.modules.autoencoder import Autoencoder
    from aebuild.trainer.batches.loader import Loader
    from aebuild.trainer.phase import ActivePhase
    from aebuild.trainer.players import ActivePlayer
    from aebuild.trainer.profiling.timers import Account
    from aebuild.trainer.running_means import Sums


@contextmanager
def watched(account: Account, active: ActivePhase, feed: Loader, sums: Sums) -> Iterator[None]:
    """Charges each part of a step while entered: data, the modules forward, backward, clipping, optimiser, logging.

    A part's time is what is spent in it and in no part inside it: of `update`, what is neither forward nor `apply` is backward.
    """
    with ExitStack() as stack:
        for name, module, part in _modules(active.model, active.players):
            Hooks(account, name, part).install(module, stack)
        _wrap(stack, account, feed, "take", "data")
        _wrap(stack, account, sums, "add", "logging")
        for player in active.players:
            _watch_player(stack, account, player)
        yield


def _modules(model: Autoencoder, players: Sequence[ActivePlayer]) -> Iterator[tuple[str, nn.Module, str]]:
    """Each half and each of its steps, because greedy training and other players run single steps: path, module, part.

    A step that a player has to himself is charged to him.
    """
    for half, module in model.named_children():
        yield half, module, half
        for name, child in module.named_children():
            path = f"{half}.{name}"
            apart = [player.plan.name for player in players if path in player.plan.modules and not player.plan.through]
            yield path, child, apart[0] if apart else half


def _watch_player(stack: ExitStack, account: Account, player: ActivePlayer) -> None:
    _wrap(stack, account, player, "update", "backward")
    _wrap(stack, account, player, "forward", "losses")
    _wrap(stack, account, player, "apply", "optimizer" if player.plan.clip is None else "clipping")
    hooks = Hooks(account, "optimizer", "optimizer")
    stack.callback(player.optimizer.register_step_pre_hook(hooks.enter).remove)
    stack.callback(player.optimizer.register_step_post_hook(hooks.leave).remove)


def _wrap(stack: ExitStack, account: Account, owner: Any, name: str, part: str) -> None:
    """Puts a charged call in front of a method of this one object."""
    plain = getattr(owner, name)

    def charged(*given: Any, **named: Any) -> Any:
        with record_function(part), account.of(part):
            return plain(*given, **named)

    setattr(owner, name, charged)
    stack.callback(delattr, owner, name)


class Hooks:
    """Charges a part between two hooks of torch; calls may be nested."""

    def __init__(self, account: Account, name: str, part: str) -> None:
        self._account, self._name, self._part = account, name, part
        self._open: list[tuple[record_function, str]] = []

    def install(self, module: nn.Module, stack: ExitStack) -> None:
        """Around the module's forward, whether it succeeds or not."""
        stack.callback(module.register_forward_pre_hook(self.enter).remove)
        stack.callback(module.register_forward_hook(self.leave, always_call=True).remove)

    def enter(self, *_: Any) -> None:
        """The part begins."""
        mark = record_function(self._name)
        mark.__enter__()  # type: ignore[no-untyped-call]
        self._open.append((mark, self._account.turn(self._part)))

    def leave(self, *_: Any) -> None:
        """The part before it goes on."""
        mark, before = self._open.pop()
        self._account.turn(before)
        mark.__exit__(None, None, None)
