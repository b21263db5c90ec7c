"""`aebuild fit-budget`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from aebuild.cli.options import FolderPlace, SpecCommand, spec_file, with_plugins, with_settings
from aebuild.cli.output import note, say

if TYPE_CHECKING:
    from aebuild.compile.front import Loaded
    from aebuild.results.comparing.fitting import Fitted


@click.command("fit-budget", cls=SpecCommand)
@spec_file
@with_settings
@with_plugins
@click.option("-o", "--output", type=FolderPlace(), metavar="FILE.yaml", help="Where to write the spec; by default it goes to stdout.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@click.option("--measure", is_flag=True, help="Time a batch of one, and narrow what is slower than the budget's latency on this machine.")
def command(spec: str, settings: tuple[str, ...], output: Path | None, force: bool, measure: bool) -> None:
    """Find the widest layers within the spec's `budget`, and print the spec that has them.

    A half with limits of its own is scaled by its own factor, up or down; limits of the model scale both. Depth, strides and the code
    stay as they are. The widths are written over those of your file, whose comments stay; where they do not stand there by themselves, or
    with --set, the whole spec is written anew.
    """
    from aebuild.results.comparing.fitting import fit, latencies, within_latency
    from aebuild.results.inference.row_files import appearing, vacant_output
    from aebuild.results.opening import open_spec

    if output is not None:
        vacant_output(output, (".yaml", ".yml"), force)
    loaded = open_spec(spec, settings)
    note(*loaded.notes)
    if any(found.code != "AE841" for found in loaded.errors) or loaded.plan is None or loaded.info is None:
        loaded.require()
    assert loaded.plan is not None and loaded.info is not None
    fitted = fit(loaded.plan, loaded.info)
    if measure:
        from aebuild.results.latency import check_latency, latency_of

        fitted = within_latency(fitted, loaded.info, lambda plan: latency_of(plan)[0])
        say(check_latency(fitted.plan)[1])
    elif latencies(loaded.plan):
        say("latency was not looked at; --measure does")
    for path, old, new in fitted.changes:
        say(f"{path.replace('.steps.', '.', 1)}: {old:,} → {new:,}")
    say(f"{fitted.plan.spec.name}: {fitted.plan.params:,} parameters, {fitted.plan.macs:,} MACs"
        + ("" if fitted.changes else "; nothing to change"))
    told = _told(loaded, fitted, settings, output)
    if output is None:
        click.echo(told, nl=False)
        return
    with appearing(output) as partial:
        partial.write_text(told, encoding="utf-8")
    say(f"written: {output}")


def _told(loaded: Loaded, fitted: Fitted, settings: tuple[str, ...], output: Path | None) -> str:
    """The user's text with the new widths where that, read again, is the fitted spec with the same data; else the whole spec."""
    from aebuild.compile.canonical import text
    from aebuild.compile.front import load
    from aebuild.results.absolute_paths import absolute
    from aebuild.results.comparing.edited import edited

    file, placed = Path(loaded.file), absolute(fitted.spec, loaded.base)
    moved = output is not None and output.parent.resolve() != loaded.base.resolve() and placed != fitted.spec
    if file.is_file() and not settings and not moved and loaded.spec is not None:
        changed = edited(file.read_text(encoding="utf-8"), loaded.file, loaded.spec, fitted.changes)
        if changed is not None and load(file, text=changed).spec == fitted.spec:
            return changed
    if file.is_file():
        say("written anew, without the file's comments: " + ("--set changes more than widths" if settings else
            "its paths are relative to another folder" if moved else "a width does not stand in it by itself"))
    return text(fitted.spec if output is None else placed)
