"""`aebuild lsp`."""

from __future__ import annotations

import click

from aebuild.cli.options import with_plugins


@click.command("lsp")
@with_plugins
@click.option("--tcp", type=click.IntRange(1, 65535), metavar="PORT",
              help="Serve one editor on this port of localhost, not on stdin and stdout.")
def command(tcp: int | None) -> None:
    """Serve an editor that speaks the language server protocol.

    It checks specs as they are typed, offers fixes, keys and variants, and shows the type behind each step. Editors start it
    themselves; editors/README.md has their settings.
    """
    from aebuild.results.comparing.proposals import require

    require("pygls", "the language server")
    from aebuild.lsp.server import serve

    serve(tcp)
