"""How the first process of a group meets the others, and nobody else."""

from __future__ import annotations

import selectors
import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast

SECRET = 62          # bits that a stranger would have to guess; a tensor of whole numbers carries them
HEARD = 10.0         # seconds that somebody who connects has to say who it is
_INTRODUCTION = struct.Struct("<2sHQ")
_HELLO = b"AE"


@dataclass(frozen=True)
class Place:
    """Where the first process listens, and under which address the others find it."""

    bind: str
    address: str

    @classmethod
    def of(cls, address: str, *, local: bool) -> Place:
        """The loopback interface where all processes are on this machine, else every interface."""
        return cls("127.0.0.1", "127.0.0.1") if local else cls("", address)


def introduction(rank: int, secret: int) -> bytes:
    """What a process says first, so that the first one knows it."""
    return _INTRODUCTION.pack(_HELLO, rank, secret)


@dataclass
class _Caller:
    """Somebody who has connected and has not said everything yet."""

    since: float = field(default_factory=time.monotonic)
    said: bytes = b""


def meet(server: socket.socket, size: int, secret: int, timeout: float) -> dict[int, socket.socket]:
    """The connections of all other ranks of `size` processes.

    Who does not know the secret, says nothing, or claims a rank that is taken is passed over, and keeps nobody waiting. TimeoutError
    if a process has not come after so many seconds.
    """
    known: dict[int, socket.socket] = {}
    callers: dict[socket.socket, _Caller] = {}
    until = time.monotonic() + timeout
    server.setblocking(False)
    with selectors.DefaultSelector() as selector:
        selector.register(server, selectors.EVENT_READ)
        while len(known) < size - 1:
            if time.monotonic() > until:
                raise TimeoutError(f"timed out: {size - 1 - len(known)} of {size} processes did not connect")
            for key, _ in selector.select(0.1):
                peer = cast("socket.socket", key.fileobj)
                if peer is server:
                    _accept(server, selector, callers)
                elif not _hear(peer, callers[peer]):
                    selector.unregister(peer)
                    rank = _rank(callers.pop(peer).said, secret)
                    if rank is not None and 0 < rank < size and rank not in known:
                        known[rank] = peer
                    else:
                        peer.close()
            for peer in [peer for peer, caller in callers.items() if time.monotonic() - caller.since > HEARD]:
                selector.unregister(peer)
                del callers[peer]
                peer.close()
    for peer in callers:
        peer.close()
    return known


def _accept(server: socket.socket, selector: selectors.BaseSelector, callers: dict[socket.socket, _Caller]) -> None:
    with suppress(OSError):          # it may have gone already
        peer, _ = server.accept()
        peer.setblocking(False)
        callers[peer] = _Caller()
        selector.register(peer, selectors.EVENT_READ)


def _hear(peer: socket.socket, caller: _Caller) -> bool:
    """Takes what a caller says now; False when that was all of it, or it has hung up."""
    try:
        more = peer.recv(_INTRODUCTION.size - len(caller.said))
    except OSError:
        more = b""
    caller.said += more
    return bool(more) and len(caller.said) < _INTRODUCTION.size


def _rank(said: bytes, secret: int) -> int | None:
    """The rank of a caller who knows the secret."""
    if len(said) < _INTRODUCTION.size:
        return None
    hello, rank, told = _INTRODUCTION.unpack(said)
    return int(rank) if hello == _HELLO and told == secret else None
