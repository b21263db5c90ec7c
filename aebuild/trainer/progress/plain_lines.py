"""A training as plain lines on stderr, for logs and pipes."""

from __future__ import annotations

import time

from rich.console import Console
from rich.text import Text

from aebuild.trainer.progress.display import Ending, EpochReport, Heading, Quiet, Status
from aebuild.trainer.progress.formatting import duration, memory, number


class PlainDisplay(Quiet):
    """One line an epoch, not more than one a second; in long epochs a line every half minute."""

    def __init__(self, console: Console | None = None, *, every: float = 1.0, within: float = 30.0) -> None:
        self._console = console or Console(stderr=True, soft_wrap=True, highlight=False)
        self._every, self._within = every, within
        self._told = time.monotonic()
        self._doing = ""

    def start(self, heading: Heading) -> None:
        """One line: what, on which data, where."""
        self._line(f"training {heading.name} on {heading.data}, {heading.device}, into {heading.run}")
        self._told = 0.0

    def busy(self, what: str, done: int = 0, whole: int = 0) -> None:
        """A line when something else begins, and how far it is if the last line is long ago."""
        if what != self._doing:
            self._doing = what
            self._line(what)
        elif time.monotonic() - self._told >= self._within:
            self._line(progress_of(what, done, whole))

    def update(self, status: Status) -> None:
        """A line if the last one is long ago."""
        if time.monotonic() - self._told >= self._within and self._told:
            self._line(f"{where(status)} step {status.step}/{status.steps}  {listed(status.train)}  | {_pace(status)}")

    def epoch(self, report: EpochReport) -> None:
        """A line, unless one was written within the last second and more epochs follow."""
        if report.last or time.monotonic() - self._told >= self._every:
            status = report.status
            judged = f"  | validation {listed(status.validation)}" if status.validation else ""
            self._line(f"{where(status)}  {listed(status.train)}{judged}{' *' if report.better else ''}  | {_pace(status)}")

    def note(self, text: str) -> None:
        """A line, or the lines of a table."""
        self._line(text)

    def end(self, ending: Ending) -> None:
        """Where the time went."""
        self._line(ending.timers)

    def _line(self, text: str) -> None:
        self._told = time.monotonic()
        self._console.print(Text(text))


def where(status: Status, *, aligned: bool = False) -> str:
    """Phase and epoch in words; `aligned` gives the epoch as many columns as the last one needs."""
    phase = f"{status.phase} ({status.phase_number}/{status.phases})" if status.phases > 1 else status.phase
    return f"{phase}  epoch {max(1, status.epoch):>{len(str(status.epochs)) if aligned else 1}}/{status.epochs}"


def progress_of(what: str, done: int, whole: int) -> str:
    """What is done, and how far it is where that is known."""
    return f"{what}, {done:,} of {whole:,}" if whole else what


def listed(values: dict[str, float]) -> str:
    """Names and numbers in a row."""
    return "  ".join(f"{name} {number(value)}" for name, value in values.items())


def _pace(status: Status) -> str:
    parts = [f"{status.speed:,.0f} samples/s"]
    if status.left is not None:
        parts.append(f"{duration(status.left)} left")
    if status.memory is not None:
        parts.append(memory(status.memory))
    if status.utilisation is not None:
        parts.append(f"utilisation {100 * status.utilisation:.0f} %")
    return "  ".join(parts)
