"""The verbs of the command line."""

from __future__ import annotations

import importlib
from typing import Any

import click

from aebuild import __version__

VERBS = ("init", "advise", "train", "validate", "summary", "show", "diagram", "encode", "decode", "reconstruct", "score", "sample",
         "interpolate", "traverse", "evaluate", "doctor", "runs", "compare", "report", "bakeoff", "sweep", "export", "eject", "specs",
         "explain", "check-part", "schema", "lsp", "environment")


class Verbs(click.Group):
    """Loads a verb's module when it is called, so that no verb pays for another."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs in order of use."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> Any:
        """The verb's command, or None."""
        if cmd_name not in VERBS:
            return None
        return importlib.import_module(f"aebuild.cli.{cmd_name.replace('-', '_')}").command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """The verb, or a message with the nearest one."""
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            from aebuild.lang.suggest import closest

            best = closest(args[0], VERBS)
            hint = f" Did you mean {best!r}?" if best else f" There are {', '.join(VERBS)}."
            raise click.UsageError(f"There is no command {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="aebuild")
def commands() -> None:
    """Design and train autoencoders from a spec.

    A spec is one YAML file: data, encoder, latent, decoder, losses. Begin with `aebuild train vqvae`; `aebuild specs`
    lists the specs that come with aebuild.
    """
