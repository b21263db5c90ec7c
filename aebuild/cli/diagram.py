"""`aebuild diagram`."""

from __future__ import annotations

from pathlib import Path

import click

from aebuild.cli.options import FolderPlace, SpecCommand, spec_file, with_plugins, with_settings
from aebuild.cli.output import note, report


@click.command("diagram", cls=SpecCommand)
@spec_file
@with_settings
@with_plugins
@click.option("-o", "--output", type=FolderPlace(), metavar="FILE",
              help="Where to write it, as .svg or .png; by default the SVG goes to stdout.")
def command(spec: str, settings: tuple[str, ...], output: Path | None) -> None:
    """Draw the model to scale: layers, types, code, skips, heads, critics, loss terms.

    SPEC is a file, the name of a shipped spec, or a run directory. What the compiler inserted is dashed. An SVG holds its text as text;
    a PNG needs the package resvg-py.
    """
    if output is not None and output.suffix.lower() not in (".svg", ".png"):
        raise click.UsageError(f"--output ends in .svg or .png, not {output.name!r}.")
    from aebuild.results.diagram import diagram, scale_of
    from aebuild.results.diagram_svg import png_bytes, svg_text
    from aebuild.results.opening import open_spec
    from aebuild.trainer.run_dir.atomic_files import write_output

    loaded = open_spec(spec, settings)
    note(*loaded.notes)
    plan = loaded.require()
    report(loaded.diagnostics)
    svg = svg_text(diagram(plan), scale_of(plan))
    if output is None:
        click.echo(svg, nl=False)
    else:
        write_output(output, png_bytes(svg) if output.suffix.lower() == ".png" else svg.encode())
