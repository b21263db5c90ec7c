"""`aebuild validate`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from aebuild.cli.options import Place, SpecCommand, with_plugins, with_settings
from aebuild.cli.output import note, report

if TYPE_CHECKING:
    from aebuild.lang.diagnostics import Diagnostic
    from aebuild.lang.render import Form, Note


@click.command("validate", cls=SpecCommand)
@click.argument("paths", nargs=-1, required=True, type=Place())
@with_settings
@with_plugins
@click.option("--format", "form", type=click.Choice(["people", "json", "concise"]), default="people", show_default=True,
              help="How findings are printed; json has all of them, on stdout.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing about files that are fine.")
@click.option("--measure", is_flag=True, help="Build each model, time a batch of one, and hold it against the budget's latency.")
@click.option("--fix", is_flag=True,
              help="Mend the files where it is clear what was meant, as misspelt keys, and take out what changes nothing; show it.")
@click.option("--diff", is_flag=True, help="Show what --fix would change, and change nothing.")
@click.option("--unsafe-fixes", "unsafe", is_flag=True, help="With --fix or --diff: also take fixes that decide something about the model.")
@click.pass_context
def command(ctx: click.Context, paths: tuple[str, ...], settings: tuple[str, ...], form: Form, quiet: bool, measure: bool, fix: bool,
            diff: bool, unsafe: bool) -> None:
    """Check specs; builds nothing, unless asked to measure, and reads no data but headers.

    PATHS are spec files, names of `aebuild specs`, run directories, or folders in which every .yaml file outside of run
    directories is checked. Exits with 0 if all can be built.
    """
    from aebuild.lang.printable import clean
    from aebuild.results.opening import open_spec

    if unsafe and not (fix or diff):
        raise click.UsageError("--unsafe-fixes belongs to --fix or --diff.")
    files = [file for path in paths for file in _files(path)]
    if fix or diff:
        for file in files:
            _mend(file, settings, unsafe, write=not diff)
    found: list[Diagnostic] = []
    told: list[tuple[str, str]] = []
    worst = 0
    for file in files:
        loaded = open_spec(file, settings)
        if not quiet and form == "people":
            note(*loaded.notes)
        if measure and loaded.plan is not None and not loaded.errors:
            from aebuild.results.latency import check_latency

            slow, measured = check_latency(loaded.plan)
            loaded.diagnostics += slow
            told.append((file, measured))
        found += loaded.diagnostics
        told += [(file, text) for text in loaded.info.notes if not quiet] if loaded.info is not None else []
        if loaded.errors:
            worst = max(worst, loaded.error.exit_code)
        elif not quiet and form == "people":
            assert loaded.plan is not None and loaded.info is not None
            plan = loaded.plan
            click.echo(f"{clean(file)}: fine · {plan.input} → {plan.latent.code} → {plan.target} · {plan.params:,} parameters",
                       file=sys.stdout)
    report(found, form, _notes(told))
    ctx.exit(worst)


def _notes(told: list[tuple[str, str]]) -> list[Note]:
    if not told:
        return []
    from aebuild.lang.render import Note  # it takes as long to import as the spec to check

    return [Note(*each) for each in told]


def _mend(file: str, settings: tuple[str, ...], unsafe: bool, write: bool) -> None:
    from aebuild.results.mending import mend_file

    mended, difference = mend_file(file, settings, unsafe, write)
    click.echo(difference, nl=False)
    if mended.fixed:
        note(f"{file}: {len(mended.fixed)} fix{'es' * (len(mended.fixed) > 1)} {'made' if write else 'to make'}")
    for each in mended.offered:
        note(f"{each.span}: {each.code} has a fix that decides something about the model: {each.fix} (--unsafe-fixes takes it)")


def _files(path: str) -> list[str]:
    from aebuild.trainer.run_dir.folder import is_run

    folder = Path(path)
    if not folder.is_dir() or is_run(folder):
        return [path]
    found = [file for pattern in ("*.yaml", "*.yml") for file in folder.rglob(pattern) if not file.is_dir()]
    runs = {inner for file in found for inner in file.parents if inner != folder and folder in inner.parents and is_run(inner)}
    files = sorted(str(file) for file in found if runs.isdisjoint(file.parents))
    if runs:
        note(f"{len(runs)} run director{'y' if len(runs) == 1 else 'ies'} in {path} passed over")
    if not files and not runs:
        raise click.UsageError(f"{path} has no .yaml files")
    return files
