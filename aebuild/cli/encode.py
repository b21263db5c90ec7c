"""`aebuild encode`."""

from __future__ import annotations

from pathlib import Path

import click

from aebuild.cli.on_run import Counter, data_of_run, done, opened, output_file, run_folder, samples_of


@click.command("encode")
@run_folder
@data_of_run
@output_file("codes.npz", "Where the codes go: .npz, .npy, .csv or .parquet.")
@click.option("--draw", type=click.IntRange(1), metavar="N", help="N draws from the posterior of each sample, not its mean.")
def command(run: Path, device: str, as_json: bool, quiet: bool, data: str | None, split: str | None, settings: tuple[str, ...],
            given: tuple[str, ...], output: Path, force: bool, draw: int | None) -> None:
    """Write the code of each sample of DATA, with its ids, times and labels beside it.

    DATA is read as the training data were, without DATA the run's test part. Discrete codes are written as indices; an .npz has the
    vectors that they stand for and the packed bits too.
    """
    from aebuild.results.inference.codes import write_codes
    from aebuild.results.inference.row_files import ROWS, vacant_output

    vacant_output(output, ROWS, force)
    model = opened(run, device)
    samples = samples_of(model, data, split, settings, quiet=quiet, given=given, readers=("encoder", "prior"))
    write_codes(model, samples, output, draw, Counter("encoding", quiet))
    count = len(samples) * (draw or 1)
    done({"output": str(output), "codes": count, "code": str(model.plan.latent.code)},
         f"{count:,} codes, {model.plan.latent.code} each: {output}", as_json=as_json, quiet=quiet)
