"""`aebuild evaluate`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aebuild.cli.on_run import Asked, Counter, data_settings, given_option, opened, run_folder
from aebuild.cli.options import FolderPlace, Place
from aebuild.cli.output import columns, note, report
from aebuild.lang.json_text import json_text

if TYPE_CHECKING:
    from aebuild.data.new_samples import NewData
    from aebuild.results.open_run import OpenRun


@click.command("evaluate")
@run_folder
@click.argument("data", required=False, type=Place())
@data_settings
@given_option
@click.option("--anomalies", metavar="LABELS", help="Labels that mean an anomaly, separated by commas: tells ROC and PR areas.")
@click.option("--task", "tasks", multiple=True, metavar="TASK",
              help="Ask this task instead of the usual evaluation, written as in a spec: probe, or 'probe: {labels: 550}'; repeatable.")
@click.option("-o", "--output", type=FolderPlace(), metavar="FILE", help="Write the evaluation as JSON.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def command(run: Path, device: str, as_json: bool, quiet: bool, data: str | None, settings: tuple[str, ...], given: tuple[str, ...],
            anomalies: str | None, tasks: tuple[str, ...], output: Path | None, force: bool) -> None:
    """Judge a trained model again, on its test part or on DATA, beside the same baselines.

    Where labels name anomalies, or classes were left out of training, all anomaly scores are judged too. With --task a question of
    your choice is asked instead; its answer is kept in the run, for `compare` and `report`.
    """
    from rich.console import Console

    from aebuild.results.evaluation_table import table
    from aebuild.results.inference.evaluation import detect_anomalies, evaluate_run
    from aebuild.results.inference.row_files import vacant_output
    from aebuild.results.inference.scoring import detection_line
    from aebuild.trainer.run_dir.atomic_files import write_output

    if data is None and given:
        raise click.UsageError("--given is about DATA that do not say it; name them.")
    asked = Asked(data, settings=settings, given=given)
    if output is not None:
        vacant_output(output, (".json",), force)
    model = opened(run, device)
    say = (lambda sentence: None) if quiet else note
    samples = None if data is None else asked.samples(model, quiet=quiet)
    counter = Counter("evaluating", quiet)
    if tasks:
        if anomalies is not None:
            raise click.UsageError("--anomalies goes with the usual evaluation; the task `anomaly` has `labels` of its own.")
        _answer(model, tasks, samples, say, counter, output, as_json=as_json)
        return
    found = evaluate_run(model, samples, say=say, progress=lambda what, done, whole: counter(done, whole) if whole else None)
    scored = detect_anomalies(model, samples, None if anomalies is None else anomalies.split(","), say=say, progress=counter)
    judged = {} if scored is None else {name: each.to_json() for name, each in scored.detection.items()}
    summary = found.to_json() | ({"detection": judged} if judged else {})
    if output is not None:
        write_output(output, f"{json_text(summary, 1)}\n".encode())
    if as_json:
        click.echo(json_text(summary))
    else:
        console = Console(file=sys.stdout, width=columns(), highlight=False)
        console.print(table(found))
        for name, each in ({} if scored is None else scored.detection).items():
            console.print(detection_line(name, each), markup=False, soft_wrap=True)
    note(*(() if scored is None else scored.notes))
    report(found.findings)


def _answer(model: OpenRun, tasks: tuple[str, ...], samples: NewData | None, say: Callable[[str], None], counter: Counter,
            output: Path | None, *, as_json: bool) -> None:
    """Asks the tasks, shows and writes their answers."""
    from rich.console import Console

    from aebuild.results.answer_table import told
    from aebuild.results.inference.evaluation import answer_tasks, demand_answers
    from aebuild.trainer.run_dir.atomic_files import write_output

    found = answer_tasks(model, tasks, samples, say=say, progress=lambda what, done, whole: counter(done, whole) if whole else None)
    answered = [kept for kept in found if kept.answer.figures]
    summary = {"tasks": {kept.name: kept.to_json() for kept in answered}}
    if output is not None and answered:
        write_output(output, f"{json_text(summary, 1)}\n".encode())
    if as_json and answered:
        click.echo(json_text(summary))
    console = Console(file=sys.stdout, width=columns(), highlight=False)
    for kept in () if as_json else answered:
        for shown in told(model.run.folder, kept):
            console.print(shown)
        note(*kept.answer.notes)
    demand_answers(found)
