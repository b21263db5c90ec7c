"""`aebuild decode`."""

from __future__ import annotations

from pathlib import Path

import click

from aebuild.cli.on_run import done, given_option, opened, output_file, run_folder
from aebuild.cli.options import FolderPlace


@click.command("decode")
@run_folder
@click.argument("codes", type=FolderPlace())
@output_file("", "Where they go: a folder of pictures, .csv, .png, .npz (default: decoded, in the data's own form).")
@given_option
def command(run: Path, device: str, as_json: bool, quiet: bool, codes: Path, output: Path | None, force: bool, given: tuple[str, ...]
            ) -> None:
    """Write the data that CODES stand for, in the data's own form and units.

    CODES is a file that `aebuild encode` wrote, bits too, or an array of codes or indices.
    """
    from aebuild.data.probe import plural
    from aebuild.results.inference.bitstreams import codes_in_file
    from aebuild.results.inference.codes import checked_codes, decode_batches
    from aebuild.results.inference.forms import endings, form_of, write_samples
    from aebuild.results.inference.given import conditions_for, parsed
    from aebuild.results.inference.row_files import vacant_output

    model = opened(run, device)
    part = model.plan.spec.data
    form = form_of(part, model.info)
    place = output or Path("decoded" + (".npz" if form is None else form.suffix))
    vacant_output(place, endings(form), force)
    found = codes_in_file(model, codes)
    checked_codes(model, found)
    told = conditions_for(model, len(found), parsed(given), ("decoder",))
    write_samples(place, decode_batches(model, found, told), len(found), part, model.info, model.target_scaling or model.scaling, {})
    done({"output": str(place), "samples": len(found)}, f"{plural(len(found), 'sample')}: {place}", as_json=as_json, quiet=quiet)
