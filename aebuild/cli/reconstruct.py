"""`aebuild reconstruct`."""

from __future__ import annotations

from pathlib import Path

import click

from aebuild.cli.on_run import Counter, data_of_run, done, opened, output_file, run_folder, samples_of


@click.command("reconstruct")
@run_folder
@data_of_run
@output_file("", "Where they go: a folder of pictures, .csv, .png, .npz (default: reconstructed, in the data's own form).")
def command(run: Path, device: str, as_json: bool, quiet: bool, data: str | None, split: str | None, settings: tuple[str, ...],
            given: tuple[str, ...], output: Path | None, force: bool) -> None:
    """Write what the model makes of each sample of DATA, in the data's own form and units.

    Windows of a series are merged back to its steps.
    """
    from aebuild.results.inference.forms import endings, form_of
    from aebuild.results.inference.reconstructions import write_reconstructions
    from aebuild.results.inference.row_files import vacant_output

    model = opened(run, device)
    form = form_of(model.plan.spec.data, model.info)
    place = output or Path("reconstructed" + (".npz" if form is None else form.suffix))
    vacant_output(place, endings(form), force)
    samples = samples_of(model, data, split, settings, quiet=quiet, given=given)
    written = write_reconstructions(model, samples, place, Counter("reconstructing", quiet))
    done({"output": str(place), **written}, f"{', '.join(f'{count:,} {what}' for what, count in written.items())}: {place}",
         as_json=as_json, quiet=quiet)
