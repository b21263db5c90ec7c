"""Threads that compute the parts of a batch side by side."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import BrokenBarrierError
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import torch
from torch import nn

from aebuild.modules.collectives import BatchPart, CrossSampleError, Threads, sharing
from aebuild.modules.randomness import Random, reseed
from aebuild.modules.sync_batch_norm import share_norms
from aebuild.trainer.players import Forward, joined

if TYPE_CHECKING:
    from aebuild.modules.autoencoder import Autoencoder
    from aebuild.modules.outputs import Batch
    from aebuild.trainer.players import ActivePlayer


def replicable(model: nn.Module) -> bool:
    """False if the class of a module says `cpu_replicas = False`.

    So says one that draws from torch's own generator, which threads would share in no certain order, or that is not safe to run in
    several threads at once.
    """
    return all(getattr(type(module), "cpu_replicas", True) for module in model.modules())


def replica_of(model: Autoencoder) -> Autoencoder:
    """A copy whose parameters are the model's own memory, with gradients apart; buffers and random numbers are its own.

    Batch normalisation of both learns from here on to share a batch.
    """
    share_norms(model)
    return copy.deepcopy(model, {id(own): nn.Parameter(own.data, own.requires_grad) for own in model.parameters()})


class Replica(Protocol):
    """What a replica has: players that compute gradients, and modules that draw random numbers."""

    players: list[ActivePlayer]
    randoms: list[tuple[str, Random]]
    seed: int


P = TypeVar("P", bound=Replica)


class CpuReplicas(Generic[P]):
    """A phase and its twins, each of which computes its part of every batch in a thread of its own.

    What the samples of a batch must know of each other (codebook averages, batch statistics) goes from thread to thread as
    it goes between the processes of a distributed training, so that the buffers of all stay equal. Only the first one's
    optimisers move the weights. Where one process shares its kernels' loops among its cores, small ones leave most of them
    waiting; parts of a batch do not.
    """

    def __init__(self, phases: list[P]) -> None:
        self.phases = phases
        self.threads = torch.get_num_threads()
        self._pool = ThreadPoolExecutor(len(phases) - 1, "cpu_replica", torch.set_num_threads, (self.threads,))

    @contextmanager
    def resting(self) -> Iterator[None]:
        """While entered, this thread alone has all cores."""
        torch.set_num_threads(self.threads * len(self.phases))
        try:
            yield
        finally:
            torch.set_num_threads(self.threads)

    def gradient(self, number: int, batch: Batch, step: int, tick: int) -> Forward:
        """The whole batch's gradient for this player of the first phase, and what is to be logged.

        CrossSampleError if a module draws from torch's own generator although its class does not say so.
        """
        players = [phase.players[number] for phase in self.phases[:max(1, batch.x.shape[0])]]
        talk = Threads(len(players))
        for phase, player in zip(self.phases[1:], players[1:], strict=False):
            reseed(phase.randoms, phase.seed, tick)
            player.take_turn()
        before = torch.default_generator.get_state()
        others = [self._pool.submit(_part, player, batch, step, rank, talk) for rank, player in enumerate(players) if rank]
        found = [_part(players[0], batch, step, 0, talk), *(other.result() for other in others)]
        errors = [each for each in found if isinstance(each, BaseException)]
        if errors:
            raise next((error for error in errors if not isinstance(error, BrokenBarrierError)), errors[0])
        if not torch.equal(before, torch.default_generator.get_state()):
            raise CrossSampleError("a layer draws from torch's own random numbers, and its class lacks `cpu_replicas = False`")
        _add_gradients(players)
        return joined([each for each in found if isinstance(each, Forward)])


def _part(player: ActivePlayer, batch: Batch, step: int, rank: int, talk: Threads) -> Forward | BaseException:
    """What came of a part; where it failed, the others are told, and the threads that wait for it fail too."""
    part = BatchPart(rank, talk.size, batch.x.shape[0], talk)
    try:
        with sharing(part):
            done = player.ahead(batch.rows(*part.bounds(rank)), step)
            player.send_back(done)
            return done
    except BaseException as error:
        talk.fail()
        return error


def _add_gradients(players: Sequence[ActivePlayer]) -> None:
    """Gives the first player the sum, always in the same order."""
    for parameter, *twins in zip(*(player.params for player in players), strict=True):
        for other in twins:
            if other.grad is not None:
                parameter.grad = other.grad if parameter.grad is None else parameter.grad.add_(other.grad)
                other.grad = None
