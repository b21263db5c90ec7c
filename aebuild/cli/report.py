"""`aebuild report`."""

from __future__ import annotations

from pathlib import Path

import click

from aebuild.cli.options import FolderPlace, with_plugins
from aebuild.cli.output import note, say


@click.command("report")
@click.argument("places", metavar="RUN|FOLDER...", nargs=-1, required=True, type=FolderPlace())
@with_plugins
@click.option("-o", "--output", type=FolderPlace(), metavar="FILE", help="Where to write it (default: report.html in the current folder).")
@click.option("--format", "form", type=click.Choice(["html", "md", "json"]),
              help="One page with pictures, Markdown, or JSON; by the ending of the file where not said.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but warnings and errors.")
def command(places: tuple[Path, ...], output: Path | None, form: str | None, force: bool, quiet: bool) -> None:
    """Write one page about a run, or about several side by side: one file that opens anywhere, without a network.

    It has the architecture to scale, curves, reconstructions through the training, samples, the answers of all evaluation tasks, spec and
    environment. What `aebuild evaluate RUN --task` adds to a run is in its next report.
    """
    from aebuild.results.inference.row_files import vacant_output
    from aebuild.results.reporting.report import report
    from aebuild.trainer.run_dir.atomic_files import write_output

    place = output or Path(f"report.{form or 'html'}")
    ending = place.suffix.lower().removeprefix(".")
    form = form or {"htm": "html", "markdown": "md"}.get(ending, ending)
    if form not in ("html", "md", "json"):
        raise click.UsageError(f"--output ends in .html, .md or .json, not {place.name!r}; --format says it otherwise.")
    vacant_output(place, (f".{ending}",) if ending else (), force)
    text = report(places, form, note)  # type: ignore[arg-type]
    write_output(place, text.encode())
    if not quiet:
        say(f"{place}: {len(text.encode()) / 2**20:.1f} MiB" if len(text) > 2**20 else f"{place}")
