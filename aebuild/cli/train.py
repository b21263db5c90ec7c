"""`aebuild train`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aebuild.cli.options import settings as with_settings
from aebuild.cli.output import columns, report

if TYPE_CHECKING:
    from aebuild.compile.front import Loaded


@click.command("train")
@click.argument("spec", required=False, type=click.Path(path_type=str))
@with_settings
@click.option("--resume", "run", type=click.Path(path_type=Path), metavar="RUN",
              help="Go on with this run directory where it stopped; with SPEC or --set, with a changed spec.")
@click.option("--allow", is_flag=True, help="With --resume: take changes of the spec that change the training.")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FOLDER",
              help="The run directory to make; by default runs/NAME-DATE-TIME.")
@click.option("--save-every", type=click.IntRange(1), metavar="STEPS",
              help="Batches between checkpoints; by default they are counted in seconds.")
@click.option("--retries", type=click.IntRange(1), metavar="N",
              help="Train in a process of its own, and if it dies resume from the last checkpoint, at most N times.")
@click.option("-q", "--quiet", is_flag=True, help="Show only the results.")
@click.pass_context
def command(ctx: click.Context, spec: str | None, settings: tuple[str, ...], run: Path | None, allow: bool, output: Path | None,
            save_every: int | None, retries: int | None, quiet: bool) -> None:
    """Train a spec and show what became of it.

    Ends with test scores beside two baselines, the run directory, and a picture of originals, reconstructions and samples.
    Ctrl-C saves and says how to go on.
    """
    _check(spec, run, allow=allow, output=output)
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")      # before torch: threads that spin starve each other on a shared machine
    loaded = _loaded(spec, settings, run)
    if retries is not None:
        from aebuild.cli.retries import supervised

        ctx.exit(supervised(ctx, retries, loaded.require().spec.name if loaded is not None else "", run))
    if loaded is not None:
        loaded.require()
        report(loaded.diagnostics)
    from rich.console import Console

    from aebuild.results.experiment import resume, train
    from aebuild.results.report import table
    from aebuild.results.revision import Request
    from aebuild.trainer.display import choose_display

    display = choose_display(quiet=quiet)
    if run is not None:
        outcome = resume(run, display, change=Request(loaded, allow) if loaded is not None else None, save_every=save_every)
    else:
        assert loaded is not None
        outcome = train(loaded, folder=output, display=display, save_every=save_every)
    console = Console(file=sys.stdout, width=columns(), highlight=False)
    console.print(table(outcome.evaluation))
    for note in outcome.picture.notes:
        console.print(note, markup=False)
    console.print(f"\nrun      {outcome.run}\npicture  {outcome.picture.path}", soft_wrap=True, markup=False)


def _check(spec: str | None, run: Path | None, *, allow: bool, output: Path | None) -> None:
    """Refuses what cannot be meant together."""
    if spec is None and run is None:
        raise click.UsageError("Give a spec to train, or --resume RUN to go on with one.")
    if run is not None and output is not None:
        raise click.UsageError("--resume goes on in the directory of its run: no --output.")
    if run is None and allow:
        raise click.UsageError("--allow belongs to --resume with a changed spec.")


def _loaded(spec: str | None, settings: tuple[str, ...], run: Path | None) -> Loaded | None:
    """The spec to train, or the changed one of a run; None where a run goes on as it is."""
    if spec is None and not settings:
        return None
    from aebuild.compile.front import load

    if spec is None:
        assert run is not None
        if not (run / "spec.yaml").is_file():
            return None                          # not a run, which opening it will tell
        spec = str(run / "spec.yaml")
    return load(spec, settings)
