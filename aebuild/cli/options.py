"""Options that several verbs share."""

from __future__ import annotations

import click

settings = click.option("--set", "settings", multiple=True, metavar="PATH=VALUE",
                        help="Change one value of the spec, like encoder.width.1=64; may be repeated.")
spec_file = click.argument("spec", type=click.Path(path_type=str))
