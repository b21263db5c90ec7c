"""`aebuild runs`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from aebuild.cli.options import FolderPlace
from aebuild.cli.output import columns, note

COLUMNS = ("started", "name", "spec", "data", "parameters", "score", "reconstruction", "pca", "time", "state")


@click.command("runs")
@click.argument("folder", type=FolderPlace(), default="runs")
@click.option("--sort", "by", type=click.Choice(COLUMNS), default="started", show_default=True,
              help="The column to sort by, small values first; pca is the error as a multiple of that of PCA.")
@click.option("-r", "--reverse", is_flag=True, help="Large values first.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def command(folder: Path, by: str, reverse: bool, as_json: bool) -> None:
    """List the runs in FOLDER and below it: what was trained, how it ended, how good it is.

    The score is that of the kept checkpoint on the validation split, the reconstruction that of the test split. A broken run is a row
    that says why; nothing is verified but sizes of files. Where the terminal is narrow, columns are left out so that the names of the runs
    can be read.
    """
    from aebuild.results.run_table import ordered, reasons, run_table, runs_in

    runs = ordered(runs_in(folder), by, backwards=reverse)
    if as_json:
        import json

        click.echo(json.dumps([run.to_json() for run in runs], indent=1))
        return
    if not runs:
        note(f"{folder} holds no run")
        return
    from rich.console import Console

    table, dropped = run_table(runs, folder, columns())
    Console(file=sys.stdout, width=columns(), highlight=False).print(table)
    if dropped:
        note(f"no room for {', '.join(dropped)}: a wider terminal shows more, --json all")
    for reason in reasons(runs):
        click.echo(reason)
