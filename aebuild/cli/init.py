"""`aebuild init`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from aebuild.cli.options import FolderPlace, Place, with_goal, with_plugins
from aebuild.cli.output import note, say


@click.command("init")
@click.argument("data", type=Place())
@with_goal
@click.option("-o", "--output", type=FolderPlace(), metavar="FILE", help="The spec to write; by default it goes to stdout.")
@click.option("--force", is_flag=True, help="Replace the file of -o if it is there.")
@with_plugins
def command(data: str, goal: Any, output: Path | None, force: bool) -> None:
    """Look at DATA and write a spec for it that trains as it stands, with the reason for each choice in a comment.

    DATA is a file or folder of yours, or the name of a known data set. Some samples are read: with them come the kind of values, the
    length of windows, the size of the code, the likelihood, and how long to train. `aebuild init sensors.csv > my.yaml` and -o do the same,
    but for the paths of -o, which are as the spec's folder needs them. `aebuild advise` tells what else was weighed, and why it was left.
    """
    if force and output is None:
        raise click.UsageError("--force belongs to -o.")
    from aebuild.results.advising.init_spec import check_free, init_spec, write_spec

    if output is not None:
        check_free(output, force=force)
    text = init_spec(data, goal, output.parent if output is not None else Path(), note)
    if output is None:
        click.echo(text, nl=False)
    else:
        write_spec(text, output, force=force)
        say(f"wrote {output}; next: aebuild train {output}")
