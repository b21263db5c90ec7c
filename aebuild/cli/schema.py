"""`aebuild schema`."""

from __future__ import annotations

import click

from aebuild.cli.options import with_plugins


@click.command("schema")
@with_plugins
def command() -> None:
    """Print the JSON Schema for editors, with the parts of plug-ins where some are named.

    With yaml-language-server, put `# yaml-language-server: $schema=schema.json` on a spec's first line for completion and
    hover texts.
    """
    from aebuild.compile.plugins import loaded_plugins
    from aebuild.compile.schema import schema_text
    from aebuild.results.shipped import schema_file

    kept = schema_file()
    click.echo(kept.read_text(encoding="utf-8") if kept is not None and not loaded_plugins() else schema_text(), nl=False)
