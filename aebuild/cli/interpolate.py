"""`aebuild interpolate`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from aebuild.cli.on_run import Asked, data_settings, done, given_option, opened, output_file, run_folder
from aebuild.cli.options import Place


@click.command("interpolate")
@run_folder
@click.argument("a")
@click.argument("b")
@output_file("interpolation.png", "Where the walk goes: .png a strip, .gif or .webp an animation, .npz arrays, or the data's own form.")
@click.option("--data", type=Place(), help="The data that A and B are samples of (default: the run's test part).")
@click.option("--steps", type=click.IntRange(2), default=9, show_default=True, help="Samples of the walk, both ends among them.")
@click.option("--path", type=click.Choice(["linear", "spherical"]), default="linear", show_default=True, help="How the walk goes.")
@click.option("--where", type=click.Choice(["code", "features"]), default=None,
              help="Between codes, or between the encoder's features before the bottleneck (default: code; features for discrete codes).")
@data_settings
@given_option
def command(run: Path, device: str, as_json: bool, quiet: bool, a: str, b: str, output: Path, force: bool, data: str | None, steps: int,
            path: Any, where: Any, settings: tuple[str, ...], given: tuple[str, ...]) -> None:
    """Walk from sample A to sample B.

    A and B are numbers of samples, counted from 0, or several with commas between them, or labels like label=3.
    """
    from aebuild.data.probe import plural
    from aebuild.results.inference.row_files import vacant_output
    from aebuild.results.inference.walk_files import rows_named, walk_endings, write_walks
    from aebuild.results.inference.walks import chosen_rows, interpolate

    asked = Asked(data, settings=settings, given=given)
    model = opened(run, device)
    vacant_output(output, walk_endings(model), force)
    samples = asked.samples(model, quiet=quiet)
    ends = [chosen_rows(samples, rows_named(samples, end)) for end in (a, b)]
    walks = interpolate(model, ends[0], ends[1], steps, path=path, where=where)
    write_walks(output, walks, model)
    done({"output": str(output), "walks": len(walks), "steps": steps}, f"{plural(len(walks), 'walk')} of {steps} steps: {output}",
         as_json=as_json, quiet=quiet)
