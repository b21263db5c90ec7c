"""`aebuild reconstruct`."""

from __future__ import annotations

from pathlib import Path

import click

from aebuild.cli.on_run import Asked, Counter, corrupted_option, data_of_run, done, fit_options, opened, output_file, run_folder
from aebuild.cli.output import note


@click.command("reconstruct")
@run_folder
@data_of_run
@fit_options
@corrupted_option
@output_file("", "Where they go: a folder of pictures, .csv, .png, .npz (default: reconstructed, in the data's own form).")
def command(run: Path, device: str, as_json: bool, quiet: bool, asked: Asked, corrupted: bool, output: Path | None, force: bool) -> None:
    """Write what the model makes of each sample of DATA, in the data's own form and units.

    Windows of a series are merged back to its steps. With --fit samples may have any size, and their reconstructions have it too; with
    --fit stream long series and waveforms are taken in chunks that give what the whole gives, by a model that never looks on.
    """
    from aebuild.lang.values import Sequence
    from aebuild.results.inference.forms import endings, form_of
    from aebuild.results.inference.reconstructions import write_fitted, write_reconstructions
    from aebuild.results.inference.row_files import vacant_output

    model = opened(run, device, corrupted)
    form = form_of(model.plan.spec.data, model.info)
    place = output or Path("reconstructed" + (".npz" if form is None else form.suffix))
    vacant_output(place, endings(form), force)
    if asked.fit == "stream" and isinstance(model.plan.input, Sequence):
        sized, samples = asked.streamed(model, quiet=quiet)
        written = write_reconstructions(sized, samples, place, Counter("reconstructing", quiet))
    elif asked.fit is None:
        written = write_reconstructions(model, asked.samples(model, quiet=quiet), place, Counter("reconstructing", quiet))
    else:
        found = asked.fitted(model, quiet=quiet)
        written = write_fitted(model, found, place, Counter("reconstructing", quiet))
        if found.remark is not None:
            note(found.remark)
    done({"output": str(place), **written}, f"{', '.join(f'{count:,} {what}' for what, count in written.items())}: {place}",
         as_json=as_json, quiet=quiet)
