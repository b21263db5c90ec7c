"""`aebuild sample`."""

from __future__ import annotations

from pathlib import Path

import click

from aebuild.cli.on_run import Counter, done, given_option, opened, output_file, run_folder
from aebuild.cli.output import note


@click.command("sample")
@run_folder
@output_file("samples.png", "Where they go: .png one picture of all, a folder or .csv their own form, .npz.")
@click.option("-n", "count", type=click.IntRange(1), default=64, show_default=True, help="How many.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="The same seed draws the same samples.")
@click.option("--prior", default="own", show_default=True, metavar="PRIOR",
              help="Where codes are drawn: the model's own prior, or one fitted to its codes, which the run keeps: gaussian, mixture, a "
                   "number of Gaussians, or frequencies of a discrete code.")
@given_option
def command(run: Path, device: str, as_json: bool, quiet: bool, output: Path, force: bool, count: int, seed: int, prior: str,
            given: tuple[str, ...]) -> None:
    """Draw new samples."""
    from aebuild.results.inference.forms import endings, form_of, write_samples
    from aebuild.results.inference.given import conditions_for, parsed
    from aebuild.results.inference.row_files import vacant_output
    from aebuild.results.inference.sampling import sample_batches

    model = opened(run, device)
    part = model.plan.spec.data
    vacant_output(output, endings(form_of(part, model.info)), force)
    batches = sample_batches(model, count, prior=prior, seed=seed, say=(lambda sentence: None) if quiet else note,
                             progress=Counter("sampling", quiet), conditions=conditions_for(model, count, parsed(given)))
    write_samples(output, batches, count, part, model.info, model.target_scaling or model.scaling, {})
    done({"output": str(output), "samples": count}, f"{count:,} samples: {output}", as_json=as_json, quiet=quiet)
