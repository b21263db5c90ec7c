"""`aebuild eject`."""

from __future__ import annotations

from pathlib import Path

import click

from aebuild.cli.options import FolderPlace, SpecCommand, spec_file, with_plugins, with_settings
from aebuild.cli.output import note, report, say


@click.command("eject", cls=SpecCommand)
@spec_file
@with_settings
@with_plugins
@click.option("-o", "--output", type=FolderPlace(), metavar="FILE.py", help="Where to write it; by default it goes to stdout.")
@click.option("--force", is_flag=True, help="Write over files that are there.")
def command(spec: str, settings: tuple[str, ...], output: Path | None, force: bool) -> None:
    """Write a model as one Python file of plain PyTorch.

    SPEC is a file, the name of a shipped spec, or a run directory. The file has the model, its losses and the training of every phase,
    which ends with the same weights as aebuild's where it begins with the same, and imports nothing of aebuild. Of a run its weights are
    written beside it, as FILE.safetensors.
    """
    if output is not None and output.suffix != ".py":
        raise click.UsageError(f"--output ends in .py, not {output.name!r}.")
    from aebuild.results.ejection.eject import eject, write_weights
    from aebuild.results.inference.row_files import appearing, vacant_output
    from aebuild.results.opening import open_spec
    from aebuild.trainer.run_dir.folder import is_run

    if output is not None:
        for place in (output, output.with_suffix(".safetensors")):
            vacant_output(place, (".py", ".safetensors"), force)
    loaded = open_spec(spec, settings)
    note(*loaded.notes)
    plan = loaded.require()
    report(loaded.diagnostics)
    made = eject(plan)
    note(*(f"not in the file: {told}" for told in made.left_out))
    if output is None:
        click.echo(made.source, nl=False)
        return
    with appearing(output) as partial:
        partial.write_text(made.source, encoding="utf-8")
    say(f"{plan.spec.name}, {plan.params:,} parameters: {output}")
    if is_run(Path(spec)) and not settings:
        weights = write_weights(Path(spec), output.with_suffix(".safetensors"))
        say(f"its weights: {weights}")
