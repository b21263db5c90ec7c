"""`aebuild train`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from aebuild.cli.options import settings as with_settings
from aebuild.cli.output import columns, report


@click.command("train")
@click.argument("spec", required=False, type=click.Path(path_type=str))
@with_settings
@click.option("--resume", "run", type=click.Path(path_type=Path), metavar="RUN", help="Go on with this run directory where it stopped.")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FOLDER",
              help="The run directory to make; by default runs/NAME-DATE-TIME.")
@click.option("--devices", type=click.IntRange(1), metavar="N",
              help="Train on N processes of this machine, each with a GPU or a share of the cores.")
@click.option("--shard", is_flag=True, help="Divide weights and optimiser states among the processes, for models too big for one.")
@click.option("-q", "--quiet", is_flag=True, help="Show only the results.")
def command(spec: str | None, settings: tuple[str, ...], run: Path | None, output: Path | None, devices: int | None, shard: bool,
            quiet: bool) -> int | None:
    """Train a spec and show what became of it.

    Ends with test scores beside two baselines, the run directory, and a picture of originals, reconstructions and samples.
    Ctrl-C saves and says how to go on.
    """
    if (spec is None) == (run is None):
        raise click.UsageError("Give a spec to train, or --resume RUN to go on with one." if spec is None
                               else "--resume goes on with the spec of its run; leave the other spec out.")
    if run is not None and (settings or output):
        raise click.UsageError("--resume goes on with the run as it is: no --set and no --output. To change a spec, start a new run.")
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")      # before torch: threads that spin starve each other on a shared machine
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")      # before torch: what its processes say of each other is said by aebuild
    from aebuild.compile.front import load

    loaded = None
    alone, first = "WORLD_SIZE" not in os.environ, os.environ.get("RANK", "0") == "0"
    if spec is not None:
        loaded = load(spec, settings)
        loaded.require()
    if alone and (devices or 1) > 1:
        from aebuild.trainer.launch import command as again
        from aebuild.trainer.launch import launch, workers

        return launch(workers(again(), devices or 1))
    if loaded is not None and first:
        report(loaded.diagnostics)
    from rich.console import Console

    from aebuild.results.experiment import resume, train
    from aebuild.results.report import table
    from aebuild.trainer.display import choose_display

    display = choose_display(quiet=quiet or not first)
    outcome = (train(loaded, folder=output, display=display, devices=devices, shard=shard) if loaded is not None
               else resume(run, display, devices=devices, shard=shard))  # type: ignore[arg-type]
    console = Console(file=sys.stdout, width=columns(), highlight=False)
    console.print(table(outcome.evaluation))
    for note in outcome.picture.notes:
        console.print(note, markup=False)
    console.print(f"\nrun      {outcome.run}\npicture  {outcome.picture.path}", soft_wrap=True, markup=False)
    return None
