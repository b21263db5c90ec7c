"""`aebuild schema`."""

from __future__ import annotations

import json

import click


@click.command("schema")
def command() -> None:
    """Print the JSON Schema for editors.

    With yaml-language-server, put `# yaml-language-server: $schema=schema.json` on a spec's first line for completion and
    hover texts.
    """
    from aebuild.compile.schema import schema

    click.echo(json.dumps(schema(), indent=1))
