"""`aebuild evaluate`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from aebuild.cli.on_run import Counter, opened, run_folder, samples_of
from aebuild.cli.options import FolderPlace, Place
from aebuild.cli.output import columns, note, report


@click.command("evaluate")
@run_folder
@click.argument("data", required=False, type=Place())
@click.option("--set", "settings", multiple=True, metavar="data.KEY=VALUE", help="Read DATA otherwise, like data.label=kind.")
@click.option("--anomalies", metavar="LABELS", help="Labels that mean an anomaly, separated by commas: tells ROC and PR areas.")
@click.option("-o", "--output", type=FolderPlace(), metavar="FILE", help="Write the evaluation as JSON.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def command(run: Path, device: str, as_json: bool, quiet: bool, data: str | None, settings: tuple[str, ...], anomalies: str | None,
            output: Path | None, force: bool) -> None:
    """Judge a trained model again, on its test part or on DATA, beside the same baselines.

    Where labels name anomalies, or classes were left out of training, all anomaly scores are judged too.
    """
    from rich.console import Console

    from aebuild.results.inference.detection import told
    from aebuild.results.inference.evaluation import detect_anomalies, evaluate_run
    from aebuild.results.inference.row_files import vacant_output
    from aebuild.results.report import table
    from aebuild.trainer.run_dir.atomic_files import replace_json

    if output is not None:
        vacant_output(output, (".json",), force)
    model = opened(run, device)
    say = (lambda sentence: None) if quiet else note
    samples = None if data is None else samples_of(model, data, None, settings, quiet=quiet)
    counter = Counter("evaluating", quiet)
    found = evaluate_run(model, samples, say=say, progress=lambda what, done, whole: counter(done, whole) if whole else None)
    scored = detect_anomalies(model, samples, None if anomalies is None else anomalies.split(","), say=say, progress=counter)
    judged = {} if scored is None else {name: each.to_json() for name, each in scored.detection.items()}
    summary = found.to_json() | ({"detection": judged} if judged else {})
    if output is not None:
        replace_json(output, summary)
    if as_json:
        click.echo(json.dumps(summary, ensure_ascii=False))
    else:
        console = Console(file=sys.stdout, width=columns(), highlight=False)
        console.print(table(found))
        for name, each in ({} if scored is None else scored.detection).items():
            console.print(told(name, each), markup=False, soft_wrap=True)
    note(*(() if scored is None else scored.notes))
    report(found.findings)
