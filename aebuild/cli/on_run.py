"""Arguments and options of the verbs that use a trained run, and how they show what they do."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aebuild.cli.options import FolderPlace, Place, with_plugins
from aebuild.cli.output import note, say
from aebuild.lang.json_text import json_text

if TYPE_CHECKING:
    from aebuild.data.new_samples import NewData
    from aebuild.lang.conditioning import Reader
    from aebuild.results.inference.fitting import Fitted
    from aebuild.results.open_run import OpenRun
    from aebuild.results.trained_run import TrainedRun

Command = Callable[..., Any]


def run_folder(command: Command) -> Command:
    """The argument RUN, with the options that open it."""
    return run_on_cpu(click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True,
                                   help="Where to compute.")(command))


def run_on_cpu(command: Command) -> Command:
    """The argument RUN of what needs no device."""
    for option in (
        click.argument("run", type=FolderPlace()),
        with_plugins,
        click.option("--json", "as_json", is_flag=True, help="Say what was done as one JSON object on stdout."),
        click.option("-q", "--quiet", is_flag=True, help="Say nothing but warnings and errors."),
    )[::-1]:
        command = option(command)
    return command


def given_option(command: Command) -> Command:
    """What a conditioned model is told."""
    return click.option("--given", "given", multiple=True, metavar="NAME=VALUE", help="What a conditioned model is told of all samples, "
                        "like label=3; where DATA say otherwise, only its decoder.")(command)


def data_settings(command: Command) -> Command:
    """How DATA are read."""
    return click.option("--set", "settings", multiple=True, metavar="data.KEY=VALUE",
                        help="Read DATA otherwise, like data.label=kind.")(command)


def data_of_run(command: Command) -> Command:
    """The argument DATA and how it is read, with the options of `fit_options` if those stand below; they arrive as `asked`."""
    @wraps(command)
    def gathered(*, data: str | None, split: str | None, settings: tuple[str, ...], given: tuple[str, ...], fit: str | None = None,
                 overlap: int | None = None, **others: Any) -> Any:
        return command(asked=Asked(data, split, settings, given, fit, overlap), **others)

    command_line: Command = gathered
    for option in (
        click.argument("data", required=False, type=Place()),
        click.option("--split", "split", type=click.Choice(["train", "validation", "test"]), default=None,
                     help="Without DATA: the part of the run's own data to take (default: test)."),
        data_settings,
        given_option,
    )[::-1]:
        command_line = option(command_line)
    return command_line


def fit_options(command: Command) -> Command:
    """How samples of other sizes than the model's are taken."""
    command = click.option("--overlap", type=click.IntRange(0), metavar="N", help="Of --fit tile: places that neighbours share (default: "
                           "as many as a result depends on around it).")(command)
    return click.option("--fit", "fit", type=click.Choice(["crop", "pad", "tile", "stream"]), default=None, help="Samples of DATA may have "
                        "any size: take their middle, take each whole and padded, or in tiles that are joined again; to encode and "
                        "reconstruct also as a stream, in chunks of which each goes on where the last one ended.")(command)


def corrupted_option(command: Command) -> Command:
    """Whether DATA are what the encoder takes."""
    return click.option("--corrupted", is_flag=True, help="DATA are smaller, grey or noisy already, as the encoder takes them.")(command)


def output_file(default: str, told: str) -> Callable[[Command], Command]:
    """The option `-o`, and whether an old file may be written over."""
    def add(command: Command) -> Command:
        command = click.option("--force", is_flag=True, help="Write over a file or folder that is there.")(command)
        return click.option("-o", "--output", type=FolderPlace(), default=Path(default) if default else None, metavar="FILE",
                            show_default=bool(default), help=told)(command)

    return add


def opened(run: Path, device: str, corrupted: bool = False) -> OpenRun:
    """The run with its kept model on a device; what is to be said of it is said. `corrupted`: for samples as its encoder takes them."""
    from aebuild.results.open_run import open_run
    from aebuild.trainer.device import choose_device

    found = open_run(run, choose_device(device, option=True))
    note(*found.notes)
    return found.without_corruptions() if corrupted else found


@dataclass(frozen=True)
class Asked:
    """The data that a verb is about, and how they are read; options that do not go together are refused."""

    data: str | None
    split: str | None = None
    settings: tuple[str, ...] = ()
    given: tuple[str, ...] = ()
    fit: str | None = None
    overlap: int | None = None

    def __post_init__(self) -> None:
        """Before anything is opened."""
        if self.fit is None and self.data is not None and self.split is not None:
            raise click.UsageError("--split takes a part of the run's own data; with DATA there is none.")
        if self.data is None and self.settings:
            raise click.UsageError("--set is about how DATA are read; name them.")
        if self.fit is not None and (self.data is None or self.split is not None):
            raise click.UsageError("--fit is about the size of DATA; name them, without --split.")
        if self.overlap is not None and self.fit != "tile":
            raise click.UsageError("--overlap is about tiles: --fit tile.")

    def samples(self, run: OpenRun, *, quiet: bool, readers: Sequence[Reader] | None = None) -> NewData:
        """The new data, or a part of the run's own, with what is given beside them."""
        from aebuild.data.new_samples import described
        from aebuild.results.inference.given import ALL, conditioned, parsed
        from aebuild.results.inference.new_data import new_samples, own_split

        tell, known, wanted = (lambda sentence: None) if quiet else note, parsed(self.given), readers or ALL
        found = (conditioned(run, own_split(run, self.split or "test", tell), known, wanted)  # type: ignore[arg-type]
                 if self.data is None else new_samples(run, self.data, self.settings, tell, known, wanted))
        if not quiet:
            note(*(f"{self.data or 'the run'}: {described(found)}", *found.notes))
        return found

    def fitted(self, run: OpenRun, *, quiet: bool, readers: Sequence[Reader] | None = None) -> Fitted:
        """New data of any size."""
        from aebuild.results.inference.fitting import described, fitted
        from aebuild.results.inference.given import ALL, parsed

        assert self.data is not None, "checked above"
        found = fitted(run, self.data, self.fit, self.overlap, self.settings, (lambda sentence: None) if quiet else note,  # type: ignore[arg-type]
                       parsed(self.given), readers or ALL)
        if not quiet:
            note(f"{self.data}: {described(found)}", *found.notes)
        return found

    def streamed(self, run: OpenRun, *, quiet: bool, readers: Sequence[Reader] | None = None) -> tuple[TrainedRun, NewData]:
        """Long series in chunks, and the run that takes them."""
        from aebuild.results.inference.given import ALL, parsed
        from aebuild.results.inference.series_stream import series_stream

        sized, found = series_stream(run, self.data, self.settings, (lambda sentence: None) if quiet else note, parsed(self.given),
                                     readers=readers or ALL)
        if not quiet:
            note(*found.notes)
        return sized, found


class Counter:
    """How far a pass is, on one line of a terminal; nothing elsewhere."""

    def __init__(self, what: str, quiet: bool) -> None:
        self.what, self.begun, self.told = what, time.monotonic(), 0.0
        self.shown = not quiet and sys.stderr.isatty()

    def __call__(self, done: int, whole: int) -> None:
        """Shows it, ten times a second at most."""
        now = time.monotonic()
        if not self.shown or (now - self.told < 0.1 and done < whole):
            return
        self.told = now
        speed, ending = done / max(now - self.begun, 1e-9), "\n" if done >= whole else ""
        print(f"\r{self.what} {done:,} of {whole:,}, {speed:,.0f} samples/s", end=ending, file=sys.stderr, flush=True)


def done(summary: dict[str, Any], sentence: str, *, as_json: bool, quiet: bool) -> None:
    """The result: JSON on stdout, or a sentence."""
    if as_json:
        click.echo(json_text(summary))
    elif not quiet:
        say(sentence)
