"""`aebuild specs`."""

from __future__ import annotations

import click


@click.command("specs")
@click.argument("name", required=False)
def command(name: str | None) -> None:
    """List the specs that come with aebuild, or print the one called NAME to make your own of.

    They are found by name wherever a spec is wanted: `aebuild train vqvae`. `aebuild specs vqvae > my.yaml` copies one.
    """
    from aebuild.results.shipped import copy, line, shipped

    if name is not None:
        click.echo(copy(name), nl=False)
        return
    found = shipped()
    width = max(map(len, found), default=0)
    for known, path in found.items():
        click.echo(f"{known:<{width}}  {line(path)}")
