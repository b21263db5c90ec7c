"""A training as JSON lines for programs: one object a line, each understandable alone."""

from __future__ import annotations

import json
import math
import os
import select
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aebuild.lang.json_text import json_text
from aebuild.lang.render import render
from aebuild.trainer.progress.display import Ending, EpochReport, Heading, Quiet, Status

if TYPE_CHECKING:
    from aebuild.lang.diagnostics import Diagnostic

MOST = 1 << 24        # bytes that may wait for a slow reader
PATIENCE = 2.0        # seconds that a failed command waits for a slow reader


class JsonLines(Quiet):
    """Writes events to a file descriptor and never holds up the training.

    A reader that is slow gets everything but `step` events, of which it misses some; one that is gone, or so slow that
    16 MiB wait for it, gets nothing more, and the training goes on. docs/progress.md describes every event.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._waiting = bytearray()
        self._heading: Heading | None = None
        self._open = True

    def start(self, heading: Heading) -> None:
        """Event `start`."""
        self._heading = heading
        self._tell("start", name=heading.name, data=heading.data, device=heading.device, processes=heading.processes,
                   parameters=heading.parameters, steps=heading.steps)

    def busy(self, what: str, done: int = 0, whole: int = 0) -> None:
        """Event `busy`, unless earlier events still wait for the reader."""
        if not self._waiting:
            self._tell("busy", what=what, done=done, whole=whole)

    def update(self, status: Status) -> None:
        """Event `step`, unless earlier events still wait for the reader."""
        if not self._waiting:
            self._tell("step", **self._position(status))

    def epoch(self, report: EpochReport) -> None:
        """Event `epoch`."""
        self._tell("epoch", **self._position(report.status), better=report.better, last=report.last)

    def note(self, text: str) -> None:
        """Event `note`."""
        self._tell("note", text=text)

    def checkpoint(self, total: int) -> None:
        """Event `checkpoint`."""
        self._tell("checkpoint", total=total)

    def end(self, ending: Ending) -> None:
        """Event `end`; waits for the reader, since everything is on disk."""
        self._tell("end", kept=ending.kept, epoch=ending.epoch, score=ending.score, steps=ending.steps, scores=ending.scores,
                   picture=ending.picture, notes=ending.notes, seconds=sum(ending.time.values()), seconds_by_part=ending.time)
        self._flush(math.inf)

    def fail(self, diagnostics: Sequence[Diagnostic], exit_code: int) -> None:
        """Event `error` for each; waits a moment for the reader."""
        for found in diagnostics:
            (told,) = json.loads(render([found], "json"))
            self._tell("error", **told, exit_code=exit_code)
        self._flush(PATIENCE)

    def _position(self, status: Status) -> dict[str, Any]:
        return {"phase": status.phase, "phase_number": status.phase_number, "phases": status.phases, "epoch": status.epoch,
                "epochs": status.epochs, "step": status.step, "steps": status.steps, "total": status.total, "totals": status.totals,
                "train": self._sorted(status.train), "validation": self._sorted(status.validation), "best_epoch": status.best,
                "samples_per_second": round(status.speed, 1), "seconds_left": _rounded(status.left),
                "memory_bytes": status.memory, "utilisation": _rounded(status.utilisation, 4)}

    def _sorted(self, values: dict[str, float]) -> dict[str, Any] | None:
        """Loss, terms and metrics apart; None while nothing is known."""
        if not values:
            return None
        known = self._heading.terms if self._heading is not None else ()
        return {"loss": values["loss"], "terms": {name: value for name, value in values.items() if name in known},
                "metrics": {name: value for name, value in values.items() if name not in known and name != "loss"}}

    def _tell(self, event: str, **told: Any) -> None:
        if not self._open:
            return
        head = {"event": event, "time": round(time.time(), 3), "run": self._heading.run if self._heading is not None else None}
        self._waiting += json_text(head | told).encode() + b"\n"
        self._flush(0.0)

    def _flush(self, patience: float) -> None:
        """Writes what can be written; waits for the reader this long at most."""
        until = time.monotonic() + patience
        try:
            while self._waiting and self._open and self._ready(until - time.monotonic()):
                written = os.write(self._descriptor, self._waiting[:select.PIPE_BUF])
                del self._waiting[:written]
        except OSError as error:
            self._close(error.strerror or str(error))
        if len(self._waiting) > MOST:
            self._close("the reader is too slow")

    def _ready(self, patience: float) -> bool:
        """True if a piece can be written without waiting."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        return bool(poll.poll(None if patience == math.inf else max(0, round(1000 * patience))))

    def _close(self, reason: str) -> None:
        """Gives the reader up, with a word on stderr; what is written to stdout later must not fail either."""
        self._open = False
        self._waiting.clear()
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), self._descriptor)
        print(f"aebuild: progress cannot be written any more ({reason}); the training goes on", file=sys.stderr)


def _rounded(value: float | None, digits: int = 2) -> float | None:
    return None if value is None else round(value, digits)
