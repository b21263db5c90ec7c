"""How the processes of a training notice that one of them ended."""

from __future__ import annotations

import os
import secrets
import select
import selectors
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from aebuild.lang.diagnostics import AebuildError, Diagnostic, Rule, Silent, WorkerLostError

LOOPBACK = "127.0.0.1"
GRACE = 1.0          # seconds in which a process that lost another may end by itself
LOST = Rule("AE610", "a process of the training was lost", """
A training on several processes can only go on with all of them. If one is killed the others notice within two seconds; if
one hangs, they wait ten minutes (`AEBUILD_TIMEOUT=SECONDS` changes that). Then all end with exit code 9. The
last checkpoint is whole, and a resume goes on from it, on the same or another number of processes. What ended the process
is in the log of its machine: out of memory is the usual cause.

```console
$ aebuild train --resume runs/vae-20260102-030405 --devices 2
```
""")
_NEWS = struct.Struct("<cH")
_GREETING = struct.Struct("<cHQ")             # hello, the rank, the token
STRANGERS = 64       # connections that may be open before they have said who they are
_HELLO, _LEFT, _GONE = b"H", b"L", b"G"      # who it is; left with this exit code; the process of this rank is gone


@dataclass(frozen=True)
class News:
    """That a process is gone without a word (`rank`), or left with an exit code that it explained (`code`)."""

    rank: int | None = None
    code: int | None = None


class Heartbeat:
    """A connection from each process to the first one, which the operating system closes when either dies.

    A thread waits for that. What is lost is then in `news`; the main thread, whose collectives fail, raises `error`, and if
    it does not end the process within a second, since it is stuck, the thread does.
    """

    def __init__(self, rank: int, size: int, timeout: float, share: Callable[[int], int], address: str) -> None:
        """`share` gives every process the number that the first one has; at a loopback `address` only this machine can connect."""
        self.rank, self.timeout = rank, timeout
        self.news: News | None = None
        self.resume = ""                    # the command to go on with, once there is a run
        self._ended = False
        self._peers: dict[socket.socket, int] = {}
        self._connect(size, share, address)
        threading.Thread(target=self._wait, name="heartbeat", daemon=True).start()

    def _connect(self, size: int, share: Callable[[int], int], address: str) -> None:
        if self.rank == 0:
            with socket.create_server((LOOPBACK if address == LOOPBACK else "", 0), backlog=max(size, STRANGERS)) as server:
                share(server.getsockname()[1])
                self._admit(server, size, share(secrets.randbits(62)))
        else:
            port, token = share(0), share(0)
            peer = socket.create_connection((address, port), timeout=self.timeout)
            peer.sendall(_GREETING.pack(_HELLO, self.rank, token))
            self._peers[peer] = 0
        for peer in self._peers:
            peer.settimeout(None)
            for option, value in ((socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, 2)):
                peer.setsockopt(socket.IPPROTO_TCP, option, value)      # a machine without power says nothing
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)

    def _admit(self, server: socket.socket, size: int, token: int) -> None:
        """Waits for the others; whoever does not know the token, which only the group has, is hung up on."""
        strangers: dict[socket.socket, bytes] = {}
        until = time.monotonic() + self.timeout
        while len(self._peers) < size - 1:
            ready, _, _ = select.select([server, *strangers], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                raise self._lost(f"{size - 1 - len(self._peers)} of {size} processes did not connect within {self.timeout:g} seconds")
            for known in ready:
                if known is server:
                    if len(strangers) == STRANGERS:
                        oldest = next(iter(strangers))
                        del strangers[oldest]
                        oldest.close()
                    strangers[server.accept()[0]] = b""
                elif known in strangers:
                    said = _said(known, _GREETING.size - len(strangers[known]))
                    strangers[known] += said
                    if not said or len(strangers[known]) == _GREETING.size:
                        self._greet(known, strangers.pop(known), size, token)
        for stranger in strangers:
            stranger.close()

    def _greet(self, peer: socket.socket, said: bytes, size: int, token: int) -> None:
        kind, rank, told = _GREETING.unpack(said.ljust(_GREETING.size, b"\0"))
        if kind == _HELLO and secrets.compare_digest(str(told), str(token)) and 0 < rank < size and rank not in self._peers.values():
            self._peers[peer] = rank
        else:
            peer.close()

    def leave(self, code: int) -> None:
        """Says goodbye: this process is done, or failed for a reason that it tells itself."""
        self._ended = True
        self._tell(_NEWS.pack(_LEFT, code))

    def error(self) -> AebuildError:
        """Why a collective failed; waits a little for the news."""
        until = time.monotonic() + GRACE
        while self.news is None and time.monotonic() < until:
            time.sleep(0.01)
        self._ended = True
        return self._explained(self.news or News())

    def hung(self) -> AebuildError:
        """A process did not answer within the timeout."""
        self._ended = True
        return self._lost(f"a process did not answer for {self.timeout:g} seconds") if self.rank == 0 or self.news is None else Silent(9)

    def _explained(self, news: News) -> AebuildError:
        if news.code is not None:
            return Silent(news.code)
        if self.rank != (1 if news.rank == 0 else 0):          # one of those that are left tells
            return Silent(9)
        return self._lost(f"process {news.rank} is gone" if news.rank is not None else "the connection to another process broke")

    def _lost(self, what: str) -> WorkerLostError:
        return WorkerLostError(Diagnostic(LOST, f"{what}, so the training cannot go on; the last checkpoint is whole",
                                          fix=self.resume or "train again"))

    def _tell(self, message: bytes) -> None:
        for peer in list(self._peers):
            try:
                peer.sendall(message)
            except OSError:
                continue

    def _wait(self) -> None:
        with selectors.DefaultSelector() as selector:
            for known in self._peers:
                selector.register(known, selectors.EVENT_READ, known)
            while selector.get_map():
                for key, _ in selector.select():
                    peer: socket.socket = key.data
                    news = self._hear(peer)
                    if news.code == 0:                          # done like all others
                        selector.unregister(peer)
                    else:
                        self._end(news)
                        return

    def _hear(self, peer: socket.socket) -> News:
        try:
            message = peer.recv(_NEWS.size, socket.MSG_WAITALL)
        except OSError:
            message = b""
        if len(message) < _NEWS.size:
            return News(rank=self._peers[peer])
        kind, value = _NEWS.unpack(message)
        return News(code=value) if kind == _LEFT else News(rank=value)

    def _end(self, news: News) -> None:
        if self._ended:
            return
        self.news = news
        if self.rank == 0:
            self._tell(_NEWS.pack(_LEFT, news.code) if news.code is not None else _NEWS.pack(_GONE, news.rank))
        time.sleep(GRACE)
        if not self._ended:
            from aebuild.lang.render import render

            error = self._explained(news)
            if error.diagnostics:
                sys.stderr.write(render(list(error.diagnostics), "people", width=100, color=False).rstrip("\n") + "\n")
                sys.stderr.flush()
            os._exit(error.exit_code)


def _said(peer: socket.socket, most: int) -> bytes:
    try:
        return peer.recv(most)
    except OSError:
        return b""
