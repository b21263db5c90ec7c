"""`aebuild train`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aebuild.cli.launcher import prepare_process
from aebuild.cli.options import settings as with_settings
from aebuild.cli.output import columns, report

if TYPE_CHECKING:
    from aebuild.results.experiment import Outcome
    from aebuild.trainer.display import Display


STEPS = 20      # that --profile profiles


@click.command("train")
@click.argument("spec", required=False, type=click.Path(path_type=str))
@with_settings
@click.option("--resume", "run", type=click.Path(path_type=Path), metavar="RUN", help="Go on with this run directory where it stopped.")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FOLDER",
              help="The run directory to make; by default runs/NAME-DATE-TIME.")
@click.option("--plan", "like", type=click.Path(path_type=Path), metavar="RUN",
              help="Compute in the same way as this run did (train.speed).")
@click.option("--progress", type=click.Choice(["auto", "live", "plain", "json", "none"]), default="auto", show_default=True,
              help="How to show the training: a live table, plain lines, JSON lines on stdout for programs, or nothing but the "
                   "results; auto is live on a terminal and plain elsewhere.")
@click.option("--profile", is_flag=False, flag_value=str(STEPS), metavar="[STEPS]",
              help=f"Profile so many steps ({STEPS}) after a warm-up: a table of where a step's time goes, and a trace.")
@click.option("-q", "--quiet", is_flag=True, help="Short for --progress none.")
def command(spec: str | None, settings: tuple[str, ...], run: Path | None, output: Path | None, like: Path | None,
            progress: str, profile: str | None, quiet: bool) -> None:
    """Train a spec and show what became of it.

    Ends with test scores beside two baselines, the run directory, and a picture of originals, reconstructions and samples.
    Ctrl-C saves and says how to go on.
    """
    if profile is not None and not profile.isdecimal() and spec is None:      # click gives `--profile` the word behind it
        spec, profile = profile, str(STEPS)
    if (spec is None) == (run is None):
        raise click.UsageError("Give a spec to train, or --resume RUN to go on with one." if spec is None
                               else "--resume goes on with the spec of its run; leave the other spec out.")
    if run is not None and (settings or output or like):
        raise click.UsageError("--resume goes on with the run as it is: no --set, --output or --plan. To change a spec, start a new run.")
    if quiet and progress not in ("auto", "none"):
        raise click.UsageError(f"-q shows nothing and --progress {progress} something; leave one of them out.")
    if profile is not None and not (profile.isdecimal() and int(profile)):
        raise click.UsageError(f"--profile takes a number of steps, not {profile!r}.")
    prepare_process()
    from aebuild.lang.diagnostics import AebuildError
    from aebuild.trainer.display import choose_display

    display = choose_display("none" if quiet else progress)  # type: ignore[arg-type]
    try:
        outcome = _outcome(spec, settings, run, output, like, display, int(profile or 0))
    except AebuildError as error:
        display.fail(error.diagnostics, error.exit_code)
        raise
    if progress != "json":
        _print(outcome)


def _outcome(spec: str | None, settings: tuple[str, ...], run: Path | None, output: Path | None, like: Path | None, display: Display,
             profile: int) -> Outcome:
    from aebuild.compile.front import load

    loaded = None
    if spec is not None:
        loaded = load(spec, settings)
        loaded.require()
        report(loaded.diagnostics)
    from aebuild.results.experiment import resume, train
    from aebuild.trainer.manner import Manner
    from aebuild.trainer.settle import stored

    manner = Manner(stored(like) if like is not None else None, profile)
    if loaded is not None:
        return train(loaded, folder=output, display=display, manner=manner)
    assert run is not None
    return resume(run, display, manner=manner)


def _print(outcome: Outcome) -> None:
    from rich.console import Console

    from aebuild.results.report import table

    console = Console(file=sys.stdout, width=columns(), highlight=False)
    console.print(table(outcome.evaluation))
    for note in outcome.picture.notes:
        console.print(note, markup=False)
    console.print(f"\nrun      {outcome.run}\npicture  {outcome.picture.path}", soft_wrap=True, markup=False)
