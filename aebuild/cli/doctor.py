"""`aebuild doctor`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from aebuild.cli.on_run import run_folder
from aebuild.cli.output import columns, note
from aebuild.lang.json_text import json_text


@click.command("doctor")
@run_folder
def command(run: Path, device: str, as_json: bool, quiet: bool) -> None:
    """Say what went wrong in a training, with the figures that show it and the command that helps.

    RUN may be finished, stopped, diverged or failed. Without a finding it says what was looked at. The exit code is 0 in either case.
    """
    from rich.console import Console

    from aebuild.results.diagnosis.diagnose import diagnose
    from aebuild.results.diagnosis.told import told
    from aebuild.results.open_run import open_run
    from aebuild.trainer.device import choose_device

    found = diagnose(run, lambda folder: open_run(folder, choose_device(device, option=True)), (lambda sentence: None) if quiet else note)
    if as_json:
        click.echo(json_text(found.to_json()))
        return
    console = Console(file=sys.stdout, width=columns(), highlight=False)
    for line in told(found, quiet=quiet):
        console.print(line, soft_wrap=True)
