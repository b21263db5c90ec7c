"""The process that serves: an address, signals, and a log for programs."""

from __future__ import annotations

import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

import uvicorn

from aebuild.lang.diagnostics import Diagnostic, Hint, ResourceError, Silent
from aebuild.serving.app import LOCAL, Door, Server, create_app
from aebuild.serving.limits import Limits
from aebuild.serving.packages import ADDRESS
from aebuild.serving.service import Service

if TYPE_CHECKING:
    from aebuild.results.open_run import OpenRun

BACKLOG = 2048
GRACE = 30          # seconds that requests have to be finished when the server is stopped


def listening(host: str, port: int) -> socket.socket:
    """A socket that is bound; ResourceError where the system refuses."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ResourceError(Diagnostic(ADDRESS, f"cannot listen at {host}, port {port}: {reason}",
                                       fix=Hint("--port 0 takes any that is free"))) from error


def serve(run: OpenRun, host: str, port: int, limits: Limits, *, token: str | None, say: Callable[[str], None],
          begun: Callable[[str], None], log: Callable[[dict[str, Any]], None], bug: Callable[[Exception], object]) -> None:
    """Serves until SIGINT or SIGTERM, finishes what it has begun, and raises Silent with 128 + the signal.

    `begun` is told the URL when requests are taken. ResourceError where the address cannot be had.
    """
    with listening(host, port) as bound:
        server = Server(Service(run, limits, say), Door(token, host in LOCAL), log, bug)
        name = f"[{host}]" if ":" in host else host
        config = uvicorn.Config(create_app(server), http="h11", loop="asyncio", ws="none", lifespan="on", log_config=None,
                                access_log=False, server_header=False, timeout_graceful_shutdown=GRACE,
                                timeout_keep_alive=20, h11_max_incomplete_event_size=2**16)
        with _leaving() as caught:
            _Process(config, lambda: begun(f"http://{name}:{bound.getsockname()[1]}")).run(sockets=[bound])
    if caught:
        raise Silent(128 + caught[0])


class _Process(uvicorn.Server):
    """uvicorn's server, which tells when it has begun."""

    def __init__(self, config: Any, begun: Callable[[], None]) -> None:
        super().__init__(config)
        self._begun = begun

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins, and says so."""
        await super().startup(sockets=sockets)
        if self.started:
            self._begun()


@contextlib.contextmanager
def _leaving() -> Iterator[list[int]]:
    """Remembers the signals that uvicorn raises again when it has stopped, in place of what they would do."""
    caught: list[int] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        caught.append(number)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
