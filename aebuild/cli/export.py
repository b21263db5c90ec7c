"""`aebuild export`."""

from __future__ import annotations

from pathlib import Path

import click

from aebuild.cli.on_run import done, opened, output_file, run_on_cpu
from aebuild.cli.options import Place
from aebuild.cli.output import note, say


@click.command("export")
@run_on_cpu
@output_file("exported", "The folder to write.")
@click.option("--half", type=click.Choice(["encoder", "decoder"]), default=None, help="Only this half.")
@click.option("--format", "formats", type=click.Choice(["onnx", "torch"]), multiple=True,
              help="Programs beside the weights, raw data in and out: onnx, or torch.export's .pt2; may be repeated.")
@click.option("--int8", is_flag=True, help="The encoder as an ONNX program in int8 too.")
@click.option("--data", type=Place(), default=None, metavar="DATA", help="Check programs on these data, not on the run's test part.")
@click.option("--drawn", is_flag=True, help="Check programs on random samples.")
def command(run: Path, as_json: bool, quiet: bool, output: Path, force: bool, half: str | None, formats: tuple[str, ...],
            int8: bool, data: str | None, drawn: bool) -> None:
    """Write a run as a folder that other programs use: weights, spec, scaling, manifest.

    Each program is checked on samples against the model, and measured, before it is called done.
    """
    from aebuild.results.export.export import export_run
    from aebuild.results.inference.new_data import new_samples
    from aebuild.results.inference.row_files import vacant_output

    if int8 and half == "decoder":
        raise click.UsageError("--int8 is about the encoder, and --half decoder leaves it out.")
    if data is not None and drawn:
        raise click.UsageError("--data names samples to check with, --drawn makes them up; give one of the two.")
    vacant_output(output, ("", output.suffix), force)
    model = opened(run, "cpu")
    found = export_run(model, output, half=half, formats=tuple(dict.fromkeys(formats)), int8=int8, drawn=drawn,
                       data=None if data is None else new_samples(model, data))
    note(*found.notes)
    if not quiet and not as_json:
        for each in found.programs:
            say(str(each))
        for name, length in found.lengths.items():
            say(f"{name:<20} {length}")
        if found.loss:
            say(f"reconstruction by the int8 encoder: {found.loss['after']:.5g}, before {found.loss['before']:.5g}")
    summary = {"output": str(output), "files": found.files, "programs": [vars(each) for each in found.programs],
               "series": {name: vars(length) for name, length in found.lengths.items()}, "int8_loss": found.loss,
               "generation": None if found.generation is None else vars(found.generation)}
    done(summary, f"{len(found.files)} files: {output}", as_json=as_json, quiet=quiet)
