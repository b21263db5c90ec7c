"""`aebuild push`."""

from __future__ import annotations

from pathlib import Path

import click

from aebuild.cli.on_run import done, opened, run_on_cpu
from aebuild.cli.output import note


@click.command("push")
@run_on_cpu
@click.argument("repository", metavar="REPO_ID")
@click.option("--licence", "--license", "licence", metavar="NAME",
              help="The licence of the weights, as the hub calls it: apache-2.0, cc-by-4.0.")
@click.option("--private", is_flag=True, help="A new model is seen by its owner only.")
@click.option("--tag", "tags", multiple=True, metavar="WORD", help="A word that the hub finds it by; may be repeated.")
@click.option("--message", metavar="TEXT", help="What the commit says.")
def command(run: Path, as_json: bool, quiet: bool, repository: str, licence: str | None, private: bool, tags: tuple[str, ...],
            message: str | None) -> None:
    """Push a run to the Hugging Face hub, as OWNER/NAME: weights, spec, scaling, manifest and a card.

    The token is read from HF_TOKEN, or from where `hf auth login` keeps it. Names of columns and classes are pushed with it, data are not.
    """
    from aebuild.results.export.hub import push

    model = opened(run, "cpu")
    if licence is None:
        note("without --licence nobody may use the weights; the card says `other`")
    if model.run.plugins:
        note("its plug-ins are not pushed: who pulls it needs them too")
    place = push(model, repository, licence=licence, private=private, tags=tags, message=message)
    done({"repository": repository, "commit": place}, f"{repository}: {place}", as_json=as_json, quiet=quiet)
