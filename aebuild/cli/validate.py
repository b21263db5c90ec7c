"""`aebuild validate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aebuild.cli.options import Place, SpecCommand, with_settings
from aebuild.cli.output import report

if TYPE_CHECKING:
    from aebuild.lang.render import Form


@click.command("validate", cls=SpecCommand)
@click.argument("paths", nargs=-1, required=True, type=Place())
@with_settings
@click.option("--format", "form", type=click.Choice(["people", "json", "concise"]), default="people", show_default=True,
              help="How findings are printed; json has all of them, on stdout.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing about files that are fine.")
@click.pass_context
def command(ctx: click.Context, paths: tuple[str, ...], settings: tuple[str, ...], form: Form, quiet: bool) -> None:
    """Check specs; builds nothing and reads no data but headers.

    PATHS are spec files, or folders in which every .yaml file is checked. Exits with 0 if all can be built.
    """
    from aebuild.compile.front import load

    files = [file for path in paths for file in _files(path)]
    found, worst = [], 0
    for file in files:
        loaded = load(file, settings)
        found += loaded.diagnostics
        if loaded.errors:
            worst = max(worst, loaded.error.exit_code)
        elif not quiet and form == "people":
            assert loaded.plan is not None and loaded.info is not None
            plan = loaded.plan
            click.echo(f"{file}: fine · {plan.input} → {plan.latent.code} → {plan.target} · {plan.params:,} parameters", file=sys.stdout)
    report(found, form)
    ctx.exit(worst)


def _files(path: str) -> list[str]:
    folder = Path(path)
    if not folder.is_dir():
        return [path]
    files = sorted(str(file) for pattern in ("*.yaml", "*.yml") for file in folder.rglob(pattern))
    if not files:
        raise click.UsageError(f"{path} has no .yaml files")
    return files
