"""`aebuild check-part`."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from aebuild.cli.options import Place

if TYPE_CHECKING:
    from aebuild.results.part_laws.verdicts import Verdict

BROKEN = 3         # the exit code where a law is broken


@click.command("check-part")
@click.argument("file", required=False, type=Place())
@click.option("--template", type=click.Choice(["layer", "penalty", "likelihood", "latent", "task", "dataset"]),
              help="Print a part of this family to begin with, which holds all laws; penalty and likelihood are losses, task is a metric.")
@click.option("--json", "as_json", is_flag=True, help="Print the verdicts as JSON on stdout.")
@click.pass_context
def command(ctx: click.Context, file: str | None, template: str | None, as_json: bool) -> None:
    """Check whether the parts of a plug-in hold the laws that aebuild's own parts hold.

    FILE is a Python file that declares parts, or the name of an installed plug-in; it is run. Each part's example is validated, built,
    compared with its plan, trained, resumed and exported. Exits with 0 if every law holds, with 3 if one is broken; that a model cannot
    be exported is told, but breaks no law.
    """
    if (file is None) == (template is None):
        raise click.UsageError("Give a FILE to check, or --template with a family.")
    if template is not None:
        from aebuild.results.part_laws.templates import TEMPLATES

        click.echo(TEMPLATES[template], nl=False)
        return
    from aebuild.compile.plugins import load_plugins
    from aebuild.results.part_laws.verdicts import judged

    assert file is not None
    load_plugins()                                # those that the environment names, which this one may build on
    plugin, = load_plugins([file])[-1:]
    found: list[Verdict] = []
    for verdict in judged(plugin):
        found.append(verdict)
        if not as_json:
            _tell(verdict)
    if as_json:
        rows = [{"part": each.part, "law": each.law, "holds": each.holds, "binding": each.binding, "wrong": each.wrong,
                 "place": each.place} for each in found]
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
    ctx.exit(0 if all(verdict.holds or not verdict.binding for verdict in found) else BROKEN)


def _tell(verdict: Verdict) -> None:
    """A line for the law, and one for each thing that is wrong."""
    from aebuild.lang.printable import clean

    word = "holds" if verdict.holds else "BROKEN" if verdict.binding else "told"
    print(f"{word:<6}  {clean(verdict.part)}  {verdict.law:<8}  {verdict.meaning}", file=sys.stdout, flush=True)
    for wrong in verdict.wrong:
        where = f"{verdict.place}: " if verdict.place else ""
        print(f"        {clean(where + wrong)}", file=sys.stdout, flush=True)
