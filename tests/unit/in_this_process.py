"""Workers that carry out the commands of a comparison within the process of a test, one after the other."""

from __future__ import annotations

import os
import signal

from aebuild.cli.guard import guarded
from aebuild.cli.verbs import commands
from aebuild.results.comparing.processes import Command


class InThisProcess:
    """Calls each command at once; from the one of number `stop_at` on it is stopped by Ctrl-C, as a user would do it."""

    jobs = 1

    def __init__(self, stop_at: int | None = None) -> None:
        self.begun: list[Command] = []
        self._stop_at = stop_at
        self._ended: list[tuple[Command, int]] = []

    def free(self) -> bool:
        return not self._ended and self.stopped() is None

    def start(self, command: Command) -> None:
        assert command.argv[1:3] == ["-m", "aebuild"]
        self.begun.append(command)
        with command.log.open("ab") as log:
            kept = os.dup(1)
            os.dup2(log.fileno(), 1)                     # where --progress json writes
            try:
                code = guarded(lambda: commands.main(list(command.argv[3:]), prog_name="aebuild", standalone_mode=False))
            finally:
                os.dup2(kept, 1)
                os.close(kept)
        self._ended.append((command, code))

    def ended(self) -> list[tuple[Command, int]]:
        found, self._ended = self._ended, []
        return found

    def busy(self) -> bool:
        return bool(self._ended)

    def stopped(self) -> int | None:
        return signal.SIGINT if self._stop_at is not None and len(self.begun) >= self._stop_at else None
