"""`aebuild pull`."""

from __future__ import annotations

from pathlib import Path

import click

from aebuild.cli.on_run import done
from aebuild.cli.options import FolderPlace


@click.command("pull")
@click.argument("repository", metavar="REPO_ID")
@click.option("-o", "--output", type=FolderPlace(), metavar="FOLDER", help="Where it goes (default: the model's name).")
@click.option("--revision", metavar="NAME", help="A branch, tag or commit.")
@click.option("--force", is_flag=True, help="Write over a folder that is there.")
@click.option("--json", "as_json", is_flag=True, help="Say what was done as one JSON object on stdout.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but warnings and errors.")
def command(repository: str, output: Path | None, revision: str | None, force: bool, as_json: bool, quiet: bool) -> None:
    """Fetch a model that was pushed, OWNER/NAME, as a folder that every command takes like a run.

    All files are checked against its manifest, and nothing in it is ever run.
    """
    from aebuild.results.export.hub import pull
    from aebuild.results.inference.row_files import vacant_output

    place = output or Path(repository.rpartition("/")[2])
    vacant_output(place, ("", place.suffix), force)
    name = pull(repository, place, revision)
    done({"output": str(place), "name": name}, f"{name}: {place}", as_json=as_json, quiet=quiet)
