"""`aebuild score`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aebuild.cli.on_run import Asked, Counter, data_of_run, done, fit_options, opened, output_file, run_folder
from aebuild.cli.output import columns, note

if TYPE_CHECKING:
    from aebuild.data.new_samples import NewData
    from aebuild.results.inference.scoring import Scored


@click.command("score")
@run_folder
@data_of_run
@fit_options
@output_file("scores.csv", "Where the scores go: .csv, .parquet or .npz.")
@click.option("--by", "by", default="reconstruction", show_default=True, metavar="NAMES",
              help="Scores, separated by commas: reconstruction, latent, mahalanobis, combined, or all; and signed, prior. The first "
                   "decides.")
@click.option("--threshold", metavar="RULE", help="What is unusual, from now on: quantile=0.99, per-sample=0.001, per-day=1, extreme=1e-4, "
                                                   "best-f=1, or a number.")
@click.option("--anomalies", metavar="LABELS",
              help="Labels of DATA, or of its steps, that mean an anomaly, separated by commas: tells ROC and PR areas.")
@click.option("--windows", is_flag=True, help="Of a series: a score a window, or a whole series, not a score a step.")
@click.option("--top", type=click.IntRange(0), default=5, show_default=True, help="How many of the most unusual rows to show.")
def command(run: Path, device: str, as_json: bool, quiet: bool, asked: Asked, output: Path, force: bool, by: str, threshold: str | None,
            anomalies: str | None, windows: bool, top: int) -> None:
    """Say how unusual each sample of DATA is, or each step of a series, and which column is the most unusual one.

    Scores are calibrated on samples that training held back. `anomaly` is 1 where the score is above the threshold. With --fit tile each
    tile of a larger sample is scored, and the place where it begins stands beside it.
    """
    from aebuild.results.inference.row_files import vacant_output
    from aebuild.results.inference.scoring import score, write_scores

    if asked.fit == "stream":
        raise click.UsageError("--fit stream has no scores: a threshold, the usual errors of columns and the density of codes are those of "
                               "samples of the trained size, with which a stream does not compare. Use reconstruct --fit stream, or "
                               "leave --fit out: windows are merged to steps.")
    vacant_output(output, (".csv", ".parquet", ".npz"), force)
    model = opened(run, device)
    samples = asked.samples(model, quiet=quiet) if asked.fit is None else asked.fitted(model, quiet=quiet).of_trained_size("scores")
    if windows and samples.split.windows is None:
        raise click.UsageError("--windows is about series; each of these samples has one score anyway.")
    found = score(model, samples, by.split(","), threshold=_rule(threshold), anomalies=None if anomalies is None else anomalies.split(","),
                  windows=windows, say=(lambda sentence: None) if quiet else note, progress=Counter("scoring", quiet))
    write_scores(found, samples, output)
    note(*found.notes)
    if not quiet and not as_json:
        _show(found, samples, top)
    limit = found.threshold
    done({"output": str(output), **found.to_json()},
         f"{int(found.anomaly.sum()):,} of {len(found):,} {found.level}s are above {limit.value:.6g} ({limit.rule}): {output}",
         as_json=as_json, quiet=quiet)


def _rule(text: str | None) -> str | float | None:
    """A rule, or the number that is written in its place."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


def _show(found: Scored, samples: NewData, top: int) -> None:
    """The most unusual rows, and how well the scores tell anomalies where labels are known."""
    import numpy as np
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from aebuild.lang.printable import clean
    from aebuild.results.inference.scoring import detection_line

    console = Console(file=sys.stdout, width=columns(), highlight=False)
    name = next(iter(found.scores))
    order = np.argsort(-np.nan_to_num(found.scores[name], nan=-np.inf), kind="stable")[:top]
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim", title=Text(f"the most unusual {found.level}s"), title_justify="left",
                  title_style="bold")
    beside = _beside(found, samples)
    counted = "row" not in beside                     # of a part of the run's own series the row of the file is known
    if counted:
        table.add_column("row", justify="right")
    for column in (*beside, *found.scores, *(["unusual"] if found.unusual else [])):
        table.add_column(Text(clean(column)), justify="left" if column in beside or column == "unusual" else "right")
    for row in order.tolist():
        cells = [held[row] for held in beside.values()] + [f"{held[row]:.6g}" for held in found.scores.values()]
        cells = [*([str(row)] if counted else []), *cells, *([found.unusual[row]] if found.unusual else [])]
        table.add_row(*(Text(clean(cell)) for cell in cells))
    if top:
        console.print(table)
    for score_name, each in found.detection.items():
        console.print(detection_line(score_name, each), markup=False, soft_wrap=True)


def _beside(found: Scored, samples: NewData) -> dict[str, Any]:
    from aebuild.results.inference.codes import beside_samples

    return dict(samples.beside) if found.level == "step" else beside_samples(samples)
