"""A training as a table that is redrawn in place on the terminal."""

from __future__ import annotations

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from aebuild.trainer.progress.display import Ending, EpochReport, Heading, Quiet, Status
from aebuild.trainer.progress.formatting import duration, memory, number
from aebuild.trainer.progress.plain_lines import listed, progress_of, where

NUMBER = 11      # columns of a number: -1.23e-123 and one to spare
NARROWEST = 8    # columns that a name keeps on the narrowest terminal


class LiveDisplay(Quiet):
    """Progress, speed, time left, memory, and every term and metric beside validation."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._live = Live(console=self._console, auto_refresh=False, transient=False)
        self._heading: Heading | None = None
        self._status: Status | None = None
        self._around: Live | None = None              # the line of what is done before and after the training

    def busy(self, what: str, done: int = 0, whole: int = 0) -> None:
        """Draws what is done and how far it is: under the table, or before and after it as a line that goes away."""
        told = progress_of(what, done, whole)
        if self._live.is_started:
            self._live.update(Screen(self._heading, self._status, told), refresh=True)
            return
        if self._around is None:
            self._around = Live(console=self._console, auto_refresh=False, transient=True)
            self._around.start()
        self._around.update(_line(Text(f"{told} ...", "dim")), refresh=True)

    def start(self, heading: Heading) -> None:
        """Draws the heading."""
        self._rest()
        self._heading = heading
        self._live.start()
        self._live.update(Screen(heading, None), refresh=True)

    def _rest(self) -> None:
        if self._around is not None:
            self._around.stop()
            self._around = None

    def update(self, status: Status) -> None:
        """Draws the table."""
        self._status = status
        self._live.update(Screen(self._heading, status), refresh=True)

    def epoch(self, report: EpochReport) -> None:
        """Draws the table at the end of a phase; in between the next look does."""
        self._status = report.status
        self._live.update(Screen(self._heading, report.status), refresh=report.last)
        if report.last and report.status.phases > 1:
            self._console.print(Text(f"{where(report.status)} done  {listed(report.status.validation or report.status.train)}"))

    def note(self, text: str) -> None:
        """Writes a line, or the lines of a table, above the table."""
        self._console.print(Text(text))

    def stop(self) -> None:
        """Leaves the table as it was drawn last."""
        self._rest()
        if self._live.is_started:
            self._live.stop()

    def end(self, ending: Ending) -> None:
        """Where the time went."""
        self._rest()
        self._console.print(Text(ending.timers, "dim"))


class Screen:
    """One frame: no line is wider than the terminal, and numbers keep their places from frame to frame."""

    def __init__(self, heading: Heading | None, status: Status | None, doing: str = "") -> None:
        self.heading, self.status, self.doing = heading, status, doing

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = options.max_width
        if self.heading is not None:
            yield _line(Text.assemble((self.heading.name, "bold"), f" on {self.heading.data} · {self.heading.device}"))
            yield Text(_tail(self.heading.run, width), "dim", no_wrap=True)
        if self.status is not None:
            yield from _progress(self.status, width)
            yield Segment.line()
            yield _numbers(self.status, width)
            best = f"best so far: epoch {self.status.best}" if self.status.best is not None else ""
            yield _line(Text(best, "dim"))
        if self.doing:
            yield _line(Text(f"{self.doing} ...", "dim"))


def _line(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _tail(path: str, width: int) -> str:
    """The end of a path that is too long for the line: it says which run."""
    while cell_len(path) > width:
        path = "…" + path.lstrip("…")[1:]
    return path


def _progress(status: Status, width: int) -> RenderResult:
    """Where it stands with a bar, then the pace; counts are padded to the size of their goals."""
    place = Text(f"{where(status, aligned=True)}  ", "bold cyan")
    count = Text(f"  step {status.step:>{len(f'{status.steps:,}')},}/{status.steps:,}")
    room = min(32, width - place.cell_len - count.cell_len)
    if room < 4:
        yield _line(Text.assemble(place, count.plain.lstrip()))
    else:
        row = Table.grid()
        row.add_row(place, ProgressBar(total=max(1, status.steps), completed=status.step, width=room), count)
        yield row
    yield _line(Text(pace(status), "dim"))


def pace(status: Status) -> str:
    """Speed, time left, memory and utilisation, each in a field of its own."""
    left = f"{duration(status.left):>7} left" if status.left is not None else " " * 12
    held = f"{memory(status.memory):>8}" if status.memory is not None else ""
    used = f"utilisation {100 * status.utilisation:.0f} %" if status.utilisation is not None else ""
    return "  ".join([f"{status.speed:>7,.0f} samples/s", left, held, used]).rstrip()


def _numbers(status: Status, width: int) -> Table:
    names = list(dict.fromkeys([*status.train, *status.validation]))
    room = max(NARROWEST, width - 2 * (NUMBER + 2) - 2)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("", no_wrap=True, overflow="ellipsis", width=min(room, max(map(cell_len, [*names, " " * 16]))))
    table.add_column("train", justify="right", width=NUMBER, no_wrap=True)
    table.add_column("validation", justify="right", width=NUMBER, no_wrap=True)
    for name in names:
        style = "bold" if name == "loss" else ""
        cells = [Text(number(values[name]) if name in values else "", style) for values in (status.train, status.validation)]
        table.add_row(Text(name, style), *cells)
    return table
