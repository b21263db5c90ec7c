"""`aebuild train`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from aebuild.cli.launcher import prepare_process
from aebuild.cli.options import settings as with_settings
from aebuild.cli.output import columns, report


@click.command("train")
@click.argument("spec", required=False, type=click.Path(path_type=str))
@with_settings
@click.option("--resume", "run", type=click.Path(path_type=Path), metavar="RUN", help="Go on with this run directory where it stopped.")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FOLDER",
              help="The run directory to make; by default runs/NAME-DATE-TIME.")
@click.option("--plan", "like", type=click.Path(path_type=Path), metavar="RUN",
              help="Compute in the same way as this run did (train.speed).")
@click.option("-q", "--quiet", is_flag=True, help="Show only the results.")
def command(spec: str | None, settings: tuple[str, ...], run: Path | None, output: Path | None, like: Path | None,
            quiet: bool) -> None:
    """Train a spec and show what became of it.

    Ends with test scores beside two baselines, the run directory, and a picture of originals, reconstructions and samples.
    Ctrl-C saves and says how to go on.
    """
    if (spec is None) == (run is None):
        raise click.UsageError("Give a spec to train, or --resume RUN to go on with one." if spec is None
                               else "--resume goes on with the spec of its run; leave the other spec out.")
    if run is not None and (settings or output or like):
        raise click.UsageError("--resume goes on with the run as it is: no --set, --output or --plan. To change a spec, start a new run.")
    prepare_process()
    from aebuild.compile.front import load

    loaded = None
    if spec is not None:
        loaded = load(spec, settings)
        loaded.require()
        report(loaded.diagnostics)
    from rich.console import Console

    from aebuild.results.experiment import resume, train
    from aebuild.results.report import table
    from aebuild.trainer.display import choose_display

    display = choose_display(quiet=quiet)
    outcome = train(loaded, folder=output, display=display, like=like) if loaded is not None else resume(run, display)  # type: ignore[arg-type]
    console = Console(file=sys.stdout, width=columns(), highlight=False)
    console.print(table(outcome.evaluation))
    for note in outcome.picture.notes:
        console.print(note, markup=False)
    console.print(f"\nrun      {outcome.run}\npicture  {outcome.picture.path}", soft_wrap=True, markup=False)
