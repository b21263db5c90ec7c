"""`aebuild fit-budget`."""

from __future__ import annotations

from pathlib import Path

import click

from aebuild.cli.options import FolderPlace, SpecCommand, spec_file, with_plugins, with_settings
from aebuild.cli.output import note, say


@click.command("fit-budget", cls=SpecCommand)
@spec_file
@with_settings
@with_plugins
@click.option("-o", "--output", type=FolderPlace(), metavar="FILE.yaml", help="Where to write the spec; by default it goes to stdout.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
def command(spec: str, settings: tuple[str, ...], output: Path | None, force: bool) -> None:
    """Find the widest layers within the spec's `budget`, and print the spec that has them.

    A half with limits of its own is scaled by its own factor, up or down; limits of the model scale both. Depth, strides and the code
    stay as they are. Latency is not searched for: `aebuild validate --measure` compares it.
    """
    from aebuild.compile.canonical import text
    from aebuild.results.absolute_paths import absolute
    from aebuild.results.comparing.fitting import fit
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
    for path, old, new in fitted.changes:
        say(f"{path.replace('.steps.', '.', 1)}: {old:,} → {new:,}")
    say(f"{fitted.plan.spec.name}: {fitted.plan.params:,} parameters, {fitted.plan.macs:,} MACs"
        + ("" if fitted.changes else "; nothing to change"))
    if output is None:
        click.echo(text(fitted.spec), nl=False)
        return
    with appearing(output) as partial:
        partial.write_text(text(absolute(fitted.spec, loaded.base)), encoding="utf-8")
    say(f"written: {output}")
