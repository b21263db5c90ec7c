"""`aebuild encode`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from aebuild.cli.on_run import Asked, Counter, corrupted_option, data_of_run, done, fit_options, opened, output_file, run_folder

if TYPE_CHECKING:
    from aebuild.lang.conditioning import Reader
    from aebuild.results.trained_run import TrainedRun


@click.command("encode")
@run_folder
@data_of_run
@fit_options
@corrupted_option
@output_file("codes.npz", "Where the codes go: .npz, .npy, .csv or .parquet.")
@click.option("--bits", is_flag=True, help="Write a compressed code as bits, by an entropy coder (default: codes.bits).")
@click.option("--draw", type=click.IntRange(1), metavar="N", help="N draws from the posterior of each sample, not its mean.")
def command(run: Path, device: str, as_json: bool, quiet: bool, asked: Asked, corrupted: bool, output: Path, force: bool, bits: bool,
            draw: int | None) -> None:
    """Write the code of each sample of DATA, with its ids, times and labels beside it.

    DATA is read as the training data were, without DATA the run's test part. Discrete codes are written as indices; an .npz has the
    vectors that they stand for and the packed bits too. With --fit tile a code is that of a tile, with the place where it begins beside it;
    with --fit stream there is one for each place of the code, with the first and the last row or place of DATA that it stands for.
    """
    from aebuild.data.probe import plural
    from aebuild.lang.values import Sequence, Vector
    from aebuild.results.inference.codes import write_codes
    from aebuild.results.inference.row_files import ROWS, vacant_output

    if bits:
        if asked.fit is not None or corrupted:
            raise click.UsageError("--bits takes samples as they were trained on, without --fit or --corrupted.")
        if draw is not None:
            raise click.UsageError("--draw is for variational codes, --bits for compressed ones.")
        _write_bits(run, device, asked, output, force=force, as_json=as_json, quiet=quiet)
        return
    vacant_output(output, ROWS, force)
    model = opened(run, device, corrupted)
    readers: tuple[Reader, ...] = ("encoder", "prior")
    sized: TrainedRun = model
    if asked.fit is None:
        samples = asked.samples(model, quiet=quiet, readers=readers)
    elif asked.fit == "stream" and isinstance(model.plan.input, Sequence):
        sized, samples = asked.streamed(model, quiet=quiet, readers=readers)
    else:
        found = asked.fitted(model, quiet=quiet, readers=readers)
        sized, samples = found.groups[0][0], found.alone("codes")
    count, code = write_codes(sized, samples, output, draw, Counter("encoding", quiet)), sized.plan.latent.code
    each = str(code if samples.split.chunks is None else Vector(code.features))
    done({"output": str(output), "codes": count, "code": each}, f"{plural(count, 'code')}, {each} each: {output}",
         as_json=as_json, quiet=quiet)


def _write_bits(run: Path, device: str, asked: Asked, output: Path, *, force: bool, as_json: bool, quiet: bool) -> None:
    from aebuild.data.probe import plural
    from aebuild.results.inference.bitstreams import ENDING, write_bits
    from aebuild.results.inference.row_files import vacant_output

    if click.get_current_context().get_parameter_source("output") == click.core.ParameterSource.DEFAULT:
        output = output.with_suffix(ENDING)
    vacant_output(output, (ENDING,), force)
    model = opened(run, device)
    samples = asked.samples(model, quiet=quiet)
    found = write_bits(model, samples, output, Counter("encoding", quiet))
    done({"output": str(output), "codes": len(samples), **found},
         f"{plural(len(samples), 'code')}, {found['bits_per_sample']:.1f} bits each, {found['bits_per_value']:.4f} a value of the data: "
         f"{output}", as_json=as_json, quiet=quiet)
