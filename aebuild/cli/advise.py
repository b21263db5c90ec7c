"""`aebuild advise`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from aebuild.cli.options import FolderPlace, Place, with_goal, with_plugins
from aebuild.cli.output import note, say


@click.command("advise")
@click.argument("data", type=Place())
@with_goal
@click.option("-o", "--output", type=FolderPlace(), metavar="FILE", help="Write the spec of what is recommended there.")
@click.option("--force", is_flag=True, help="Replace the file of -o if it is there.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs; the spec is in it.")
@with_plugins
def command(data: str, goal: Any, output: Path | None, force: bool, as_json: bool) -> None:
    """Measure DATA, weigh the families of autoencoders for a goal, and write the spec of the one that fits best.

    DATA is a file or folder of yours, or the name of a known data set. Some samples are read: how many numbers they have locally, what
    principal components keep, how far neighbours resemble each other. Each family is ranked by figures that all came to under the same
    conditions and by what the data are like, with the reasons; what cannot serve says why. `aebuild init` writes the same spec.
    """
    if force and output is None:
        raise click.UsageError("--force belongs to -o.")
    from aebuild.results.advising.advise import advise, report, text_of, to_json
    from aebuild.results.advising.init_spec import check_free, write_spec

    if output is not None:
        check_free(output, force=force)
    advice = advise(data, goal, output.parent if output is not None else Path(), note)
    click.echo(text_of(to_json(advice)) if as_json else report(advice).rstrip("\n"))
    if output is not None:
        write_spec(advice.text, output, force=force)
        say(f"wrote {output}; next: aebuild train {output}")
