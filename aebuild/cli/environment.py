"""`aebuild environment`."""

from __future__ import annotations

import click


@click.command("environment")
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def command(as_json: bool) -> None:
    """Show versions, devices and what works on this machine, for a bug report.

    Optional packages that are absent stand with the command that installs them. Paths in it are yours: read it before you publish it.
    """
    from aebuild.results.environment import environment_report, sentences

    report = environment_report()
    if as_json:
        import json

        click.echo(json.dumps(report, indent=1))
        return
    from aebuild.lang.printable import clean

    click.echo("\n".join(map(clean, sentences(report))))
