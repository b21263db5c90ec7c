"""What a training shows while it runs: a live table, plain lines, or nothing."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True)
class Heading:
    """What is trained, on which data, where, and into which directory."""

    name: str
    data: str
    device: str
    run: str


@dataclass(frozen=True)
class Status:
    """Where the training stands: counts, speed, and mean loss, terms and metrics by name."""

    phase: str
    phase_number: int
    phases: int
    epoch: int
    epochs: int
    step: int
    steps: int
    speed: float
    left: float | None
    train: dict[str, float]
    validation: dict[str, float]
    best: int | None


@dataclass(frozen=True)
class EpochReport:
    """A finished epoch; `better` if it is the best so far, `last` if the phase ends with it."""

    status: Status
    better: bool
    last: bool


class Display(Protocol):
    """Somewhere to show a training; every call returns at once."""

    def start(self, heading: Heading) -> None:
        """The training begins."""

    def update(self, status: Status) -> None:
        """The middle of an epoch, a few times a second."""

    def epoch(self, report: EpochReport) -> None:
        """An epoch ended."""

    def note(self, text: str) -> None:
        """Something the user should know, one line."""

    def stop(self) -> None:
        """The training ended or failed."""


def choose_display(*, quiet: bool = False) -> Display:
    """A live table on a terminal, plain lines elsewhere, nothing when quiet; always on stderr."""
    if quiet:
        return Quiet()
    return LiveDisplay() if Console(stderr=True).is_terminal else PlainDisplay()


class Quiet:
    """Shows nothing."""

    def start(self, heading: Heading) -> None:
        """Shows nothing."""

    def update(self, status: Status) -> None:
        """Shows nothing."""

    def epoch(self, report: EpochReport) -> None:
        """Shows nothing."""

    def note(self, text: str) -> None:
        """Shows nothing."""

    def stop(self) -> None:
        """Shows nothing."""


class PlainDisplay:
    """One line an epoch, not more than one a second; in long epochs a line every half minute."""

    def __init__(self, console: Console | None = None, *, every: float = 1.0, within: float = 30.0) -> None:
        self._console = console or Console(stderr=True, soft_wrap=True, highlight=False)
        self._every, self._within = every, within
        self._told = time.monotonic()

    def start(self, heading: Heading) -> None:
        """One line: what, on which data, where."""
        self._line(f"training {heading.name} on {heading.data}, {heading.device}, into {heading.run}")
        self._told = 0.0

    def update(self, status: Status) -> None:
        """A line if the last one is long ago."""
        if time.monotonic() - self._told >= self._within and self._told:
            self._line(f"{_where(status)} step {status.step}/{status.steps}  {_listed(status.train)}  {_pace(status)}")

    def epoch(self, report: EpochReport) -> None:
        """A line, unless one was written within the last second and more epochs follow."""
        if report.last or time.monotonic() - self._told >= self._every:
            status = report.status
            judged = f"  | validation {_listed(status.validation)}" if status.validation else ""
            self._line(f"{_where(status)}  {_listed(status.train)}{judged}{' *' if report.better else ''}  | {_pace(status)}")

    def note(self, text: str) -> None:
        """A line."""
        self._line(text)

    def stop(self) -> None:
        """Nothing is left to close."""

    def _line(self, text: str) -> None:
        self._told = time.monotonic()
        self._console.print(Text(text))


class LiveDisplay:
    """A table that is redrawn in place: progress, speed, time left, every term and metric beside validation."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._live = Live(console=self._console, auto_refresh=False, transient=False)
        self._heading: Heading | None = None

    def start(self, heading: Heading) -> None:
        """Draws the heading."""
        self._heading = heading
        self._live.start()
        self._live.update(Group(_title(heading)), refresh=True)

    def update(self, status: Status) -> None:
        """Draws the table."""
        self._live.update(self._drawn(status), refresh=True)

    def epoch(self, report: EpochReport) -> None:
        """Draws the table at the end of a phase; in between the next look does."""
        self._live.update(self._drawn(report.status), refresh=report.last)
        if report.last and report.status.phases > 1:
            self._console.print(Text(f"{_where(report.status)} done  {_listed(report.status.validation or report.status.train)}"))

    def note(self, text: str) -> None:
        """Writes a line above the table."""
        self._console.print(Text(text))

    def stop(self) -> None:
        """Leaves the table as it was drawn last."""
        if self._live.is_started:
            self._live.stop()

    def _drawn(self, status: Status) -> Group:
        head = [_title(self._heading)] if self._heading is not None else []
        return Group(*head, _bar(status), Text(), _numbers(status))


def _title(heading: Heading) -> Text:
    return Text.assemble((heading.name, "bold"), f" on {heading.data} · {heading.device}\n", (heading.run, "dim"),
                         overflow="ellipsis")


def _bar(status: Status) -> Table:
    table = Table.grid(padding=(0, 1), expand=False)
    table.add_row(Text(_where(status), "bold cyan"), ProgressBar(total=max(1, status.steps), completed=status.step, width=24),
                  Text(f"step {status.step:,}/{status.steps:,}"))
    table.add_row(Text(), Text(f"{status.speed:,.0f} samples/s", "dim"), Text(_left(status), "dim"))
    return table


def _numbers(status: Status) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("", no_wrap=True, max_width=34)
    table.add_column("train", justify="right", width=11)
    table.add_column("validation", justify="right", width=11)
    if status.best is not None:
        table.add_column(f"best: epoch {status.best}", no_wrap=True, width=18)
    for name in dict.fromkeys([*status.train, *status.validation]):
        style = "bold" if name == "loss" else ""
        cells = [Text(number(values[name]) if name in values else "", style) for values in (status.train, status.validation)]
        table.add_row(Text(name, style), *cells)
    return table


def _where(status: Status) -> str:
    phase = f"{status.phase} ({status.phase_number}/{status.phases})" if status.phases > 1 else status.phase
    return f"{phase}  epoch {max(1, status.epoch)}/{status.epochs}"


def _listed(values: dict[str, float]) -> str:
    return "  ".join(f"{name} {number(value)}" for name, value in values.items())


def _pace(status: Status) -> str:
    return f"{status.speed:,.0f} samples/s  {_left(status)}"


def _left(status: Status) -> str:
    return f"{duration(status.left)} left" if status.left is not None else ""


def number(value: float) -> str:
    """A number in about five digits, as a person wants to read it."""
    size = abs(value)
    if size >= 1e6 or 0 < size < 1e-4:
        return f"{value:.3g}"
    return f"{value:,.{1 if size >= 1000 else 2 if size >= 100 else 3 if size >= 1 else 4}f}"


def duration(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
