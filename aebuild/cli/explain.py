"""`aebuild explain`."""

from __future__ import annotations

import sys

import click

from aebuild.cli.output import colored, columns


@click.command("explain")
@click.argument("code", required=False)
def command(code: str | None) -> None:
    """Tell the long story of a diagnostic; without CODE, list them all."""
    from aebuild.results.catalogue import every_rule

    rules = every_rule()
    if code is None:
        for rule in rules.values():
            click.echo(f"{rule.code}  {rule.severity:<7}  {rule.title}")
        return
    found = rules.get(code.upper())
    if found is None:
        from aebuild.lang.suggest import closest

        best = closest(code.upper(), rules)
        hint = f" Did you mean {best}?" if best else " `aebuild explain` lists them."
        raise click.UsageError(f"There is no diagnostic {code!r}.{hint}")
    rule = found
    text = f"# {rule.code}: {rule.title}\n\n*{rule.severity}*\n\n{rule.story}"
    if colored(sys.stdout):
        from rich.console import Console
        from rich.markdown import Markdown

        Console(width=columns()).print(Markdown(text))
    else:
        click.echo(text.rstrip("\n"))
