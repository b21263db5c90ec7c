"""`aebuild migrate`."""

from __future__ import annotations

from pathlib import Path

import click

from aebuild.cli.options import FolderPlace, with_plugins
from aebuild.cli.output import note, report


@click.command("migrate")
@click.argument("places", metavar="FILE|RUN...", nargs=-1, required=True, type=FolderPlace())
@with_plugins
@click.option("--dry-run", is_flag=True, help="Only say what would be written.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but warnings and errors.")
def command(places: tuple[Path, ...], dry_run: bool, quiet: bool) -> int:
    """Write specs and runs of earlier versions in the words of today; comments and layout stay.

    A word that was renamed is read under its old name too, with a warning of `aebuild validate`. What else is wrong with a spec is
    told and left as it is.
    """
    from aebuild.results.migrate import migrate

    code = 0
    for place in places:
        done = migrate(place, write=not dry_run)
        if done.loaded.errors:
            report(done.loaded.errors)
            code = max(code, done.loaded.error.exit_code)
        for each in () if quiet else done.found:
            note(f"{each.span}: {each.message}")
        if not quiet:
            what = f"{len(done.found)} word{'' if len(done.found) == 1 else 's'} " + ("to be written anew" if dry_run else "written anew")
            click.echo(f"{done.file}: {what if done.found else 'as it is'}")
    return code
