"""`aebuild compare`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from aebuild.cli.options import FolderPlace, with_plugins
from aebuild.cli.output import columns, report


@click.command("compare")
@click.argument("runs", nargs=-1, required=True, type=FolderPlace(), metavar="RUN RUN...")
@with_plugins
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def command(runs: tuple[Path, ...], as_json: bool) -> None:
    """Put runs side by side: what differs in their specs, and their figures beside the baselines.

    Figures that do not compare, because data, scaling or likelihood differ, are marked, and a warning says why.
    """
    if len(runs) < 2:
        raise click.UsageError("Give two runs or more to compare.")
    from aebuild.results.comparison import compare

    found = compare(runs)
    if as_json:
        from aebuild.lang.json_text import json_text

        click.echo(json_text(found.to_json(), 1, ascii_alone=True))
        return
    from rich.console import Console

    from aebuild.results.comparison_table import comparison_tables

    console = Console(file=sys.stdout, width=columns(), highlight=False)
    for part in comparison_tables(found):
        console.print(part)
    report(found.warnings)
