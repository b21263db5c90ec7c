"""`aebuild traverse`."""

from __future__ import annotations

from pathlib import Path

import click

from aebuild.cli.on_run import Asked, data_of_run, done, opened, output_file, run_folder
from aebuild.cli.options import FiniteRange


@click.command("traverse")
@run_folder
@data_of_run
@output_file("traversal.png", "Where it goes: .png a row a value, .gif or .webp an animation, .npz arrays, or the data's own form.")
@click.option("--around", default="0", show_default=True, metavar="SAMPLE", help="The sample to start from: its number, or label=3.")
@click.option("--dims", metavar="LIST", help="Values of the code, counted from 0, with commas (default: the ten that vary most).")
@click.option("--span", type=FiniteRange(0, min_open=True), help="Standard deviations to either side (default: 3).")
@click.option("--steps", type=click.IntRange(2), default=9, show_default=True, help="Samples of each row.")
@click.option("--add", metavar="label=CLASS", help="Move samples towards the mean code of this label instead.")
@click.option("--remove", metavar="label=CLASS", help="Move samples away from the mean code of this label.")
def command(run: Path, device: str, as_json: bool, quiet: bool, asked: Asked, output: Path, force: bool, around: str, dims: str | None,
            span: float | None, steps: int, add: str | None, remove: str | None) -> None:
    """Change one value of a code at a time and see what changes; or add and remove what labels have in common."""
    from aebuild.data.probe import plural
    from aebuild.results.inference.row_files import vacant_output
    from aebuild.results.inference.walk_files import label_named, rows_named, walk_endings, write_walks
    from aebuild.results.inference.walks import chosen_rows, moved, traverse

    grouped = add is not None or remove is not None
    if grouped and (dims is not None or span is not None):
        raise click.UsageError("--dims and --span are about single values of the code; --add and --remove move it by groups of samples.")
    model = opened(run, device)
    vacant_output(output, walk_endings(model), force)
    samples = asked.samples(model, quiet=quiet)
    rows = rows_named(samples, around)
    summary: dict[str, object] = {"output": str(output), "steps": steps}
    if grouped:
        walks = moved(model, chosen_rows(samples, rows), samples, label_named(add), label_named(remove), steps)
        told = f"{plural(len(walks), 'sample')} moved in {steps} steps"
    else:
        if len(rows) > 1:
            raise click.UsageError("--around takes several samples with --add and --remove alone.")
        wanted = None if dims is None else _numbers(dims)
        walks, chosen = traverse(model, samples, steps, dims=wanted, span=span or 3.0, around=rows[0])
        summary["dims"], told = chosen, f"values {', '.join(map(str, chosen))} of the code, {steps} steps each"
    write_walks(output, walks, model)
    done(summary, f"{told}: {output}", as_json=as_json, quiet=quiet)


def _numbers(text: str) -> list[int]:
    try:
        return [int(word) for word in text.split(",")]
    except ValueError:
        raise click.UsageError(f"--dims takes whole numbers with commas between them, not {text!r}.") from None
