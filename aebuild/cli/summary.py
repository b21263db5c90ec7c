"""`aebuild summary`."""

from __future__ import annotations

import sys

import click

from aebuild.cli.options import SpecCommand, spec_file, with_plugins, with_settings
from aebuild.cli.output import columns, note, report


@click.command("summary", cls=SpecCommand)
@spec_file
@with_settings
@with_plugins
@click.option("--format", "form", type=click.Choice(["people", "json"]), default="people", show_default=True,
              help="A table, or the whole plan as JSON.")
def command(spec: str, settings: tuple[str, ...], form: str) -> None:
    """Show the model: each layer's type, parameters and cost, the code's size, the halves compared, memory."""
    from aebuild.results.opening import open_spec

    loaded = open_spec(spec, settings)
    note(*loaded.notes)
    plan = loaded.require()
    report(loaded.diagnostics)
    if form == "json":
        import json

        from aebuild.results.summary import half_figures

        halves = {name: half_figures(plan, name) for name in ("encoder", "decoder")}
        click.echo(json.dumps({**plan.to_json(), "asymmetry": halves}, indent=1))
        return
    from rich.console import Console

    from aebuild.results.summary import summary

    console = Console(file=sys.stdout, width=columns(), highlight=False)
    for part in summary(plan):
        console.print(part)
