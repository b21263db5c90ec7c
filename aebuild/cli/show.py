"""`aebuild show`."""

from __future__ import annotations

import click

from aebuild.cli.options import SpecCommand, spec_file, with_plugins, with_settings
from aebuild.cli.output import note, report


@click.command("show", cls=SpecCommand)
@spec_file
@with_settings
@with_plugins
def command(spec: str, settings: tuple[str, ...]) -> None:
    """Print the canonical spec: block form as lists, the mirror as the layers it stands for.

    Reading the printed spec gives the same model.
    """
    from aebuild.compile.canonical import text
    from aebuild.compile.planner import resolve_decoder
    from aebuild.results.opening import open_spec

    loaded = open_spec(spec, settings)
    note(*loaded.notes)
    loaded.require()
    report(loaded.diagnostics)
    assert loaded.spec is not None
    click.echo(text(loaded.spec.but(decoder=resolve_decoder(loaded.spec))), nl=False)
