"""`aebuild explain`."""

from __future__ import annotations

import re
import sys

import click

from aebuild.cli.options import with_plugins
from aebuild.cli.output import colored, columns

CODE = re.compile(r"AE\d{3}")


@click.command("explain")
@click.argument("name", metavar="[CODE|PART]", required=False)
@with_plugins
def command(name: str | None) -> None:
    """Tell the long story of a diagnostic, or what a part is: its keys and an example.

    PART is a word of the spec language, such as `linear` or `gaussian`. Without an argument all diagnostics are listed.
    """
    from aebuild.results.catalogue import every_part, every_rule, parts_called, rule_called

    if name is None:
        for each in every_rule().values():
            click.echo(f"{each.code}  {each.severity:<7}  {each.title}")
        return
    if CODE.fullmatch(name.upper()) and (rule := rule_called(name.upper())) is not None:
        _print(f"# {rule.code}: {rule.title}\n\n*{rule.severity}*\n\n{rule.story}")
        return
    from aebuild.results.reference import page_of

    parts = parts_called(name)
    if not parts:
        from aebuild.lang.suggest import closest

        words = [part.variant_name() or part.__name__.lower() for part in every_part()]
        best = closest(name.upper(), every_rule()) or closest(name, words)
        hint = f" Did you mean {best}?" if best else " `aebuild explain` lists the diagnostics, docs/reference.md the parts."
        raise click.UsageError(f"There is no diagnostic and no part {name!r}.{hint}")
    _print("\n".join(page_of(part) for part in parts))


def _print(text: str) -> None:
    """Markdown, for people on a terminal and as it is elsewhere."""
    if colored(sys.stdout):
        from rich.console import Console
        from rich.markdown import Markdown

        Console(width=columns()).print(Markdown(text))
    else:
        click.echo(text.rstrip("\n"))
