"""What a training tells while it runs, and to whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from aebuild.lang.diagnostics import Diagnostic


@dataclass(frozen=True)
class Heading:
    """What is trained, on which data, where, and into which directory.

    `steps` counts the batches of all phases, `terms` are the names that are loss terms and not metrics.
    """

    name: str
    data: str
    device: str
    run: str
    parameters: int = 0
    steps: int = 0
    terms: tuple[str, ...] = ()
    processes: int = 1


@dataclass(frozen=True)
class Status:
    """Where the training stands: counts, speed, and mean loss, terms and metrics by name.

    `step` and `steps` count in the phase, `total` and `totals` in the run; `memory` is the peak in bytes; `utilisation` is
    the share of the machine's measured speed in matrix products that the training makes use of.
    """

    phase: str
    phase_number: int
    phases: int
    epoch: int
    epochs: int
    step: int
    steps: int
    total: int
    totals: int
    speed: float
    left: float | None
    train: dict[str, float]
    validation: dict[str, float]
    best: int | None
    memory: int | None = None
    utilisation: float | None = None


@dataclass(frozen=True)
class EpochReport:
    """A finished epoch; `better` if it is the best so far, `last` if the phase ends with it."""

    status: Status
    better: bool
    last: bool


@dataclass(frozen=True)
class Ending:
    """A finished run: what was kept and since when, its scores, where everything is, and where the time went in seconds."""

    kept: str
    epoch: int | None
    score: float | None
    steps: int
    scores: dict[str, Any]
    run: str
    picture: str
    notes: tuple[str, ...]
    time: dict[str, float]
    timers: str


class Display(Protocol):
    """Somewhere to show a training; every call returns at once."""

    def start(self, heading: Heading) -> None:
        """The training begins."""

    def busy(self, what: str, done: int = 0, whole: int = 0) -> None:
        """What is done before, between and after training, and how far it is where that is known."""

    def update(self, status: Status) -> None:
        """The middle of an epoch, a few times a second."""

    def epoch(self, report: EpochReport) -> None:
        """An epoch ended."""

    def note(self, text: str) -> None:
        """Something the user should know, one line or a short table."""

    def checkpoint(self, total: int) -> None:
        """The run is on disk as it was after this many batches."""

    def stop(self) -> None:
        """The training ended or failed."""

    def end(self, ending: Ending) -> None:
        """Everything is done, evaluation and picture too."""

    def fail(self, diagnostics: Sequence[Diagnostic], exit_code: int) -> None:
        """The command ends with these errors."""


class Quiet:
    """Shows nothing, and is what the forms that show something are made from."""

    def start(self, heading: Heading) -> None:
        """Shows nothing."""

    def busy(self, what: str, done: int = 0, whole: int = 0) -> None:
        """Shows nothing."""

    def update(self, status: Status) -> None:
        """Shows nothing."""

    def epoch(self, report: EpochReport) -> None:
        """Shows nothing."""

    def note(self, text: str) -> None:
        """Shows nothing."""

    def checkpoint(self, total: int) -> None:
        """Shows nothing."""

    def stop(self) -> None:
        """Shows nothing."""

    def end(self, ending: Ending) -> None:
        """Shows nothing."""

    def fail(self, diagnostics: Sequence[Diagnostic], exit_code: int) -> None:
        """Shows nothing: diagnostics are shown by the command line."""
