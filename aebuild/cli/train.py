"""`aebuild train`."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aebuild.cli.launcher import prepare_process
from aebuild.cli.options import FolderPlace, Place, SpecCommand, with_plugins, with_settings
from aebuild.cli.output import columns, note, report, say

if TYPE_CHECKING:
    from aebuild.compile.front import Loaded
    from aebuild.results.experiment import Outcome
    from aebuild.trainer.progress.display import Display


STEPS = 20      # that --profile profiles


@dataclass(frozen=True)
class Asked:
    """The command line of `aebuild train`."""

    spec: str | None
    settings: tuple[str, ...]
    run: Path | None
    allow: bool
    output: Path | None
    like: Path | None
    save_every: int | None
    retries: int | None
    devices: int | None
    shard: bool
    progress: str
    profile: str | None
    track: tuple[str, ...]
    quiet: bool


@click.command("train", cls=SpecCommand)
@click.argument("spec", required=False, type=Place())
@with_settings
@with_plugins
@click.option("--resume", "run", type=FolderPlace(), metavar="RUN",
              help="Go on with this run directory where it stopped; with SPEC or --set, with a changed spec.")
@click.option("--allow", is_flag=True, help="With --resume: take changes of the spec, or of the data, that change the training.")
@click.option("-o", "--output", type=FolderPlace(), metavar="FOLDER",
              help="The run directory to make; by default runs/NAME-DATE-TIME.")
@click.option("--plan", "like", type=FolderPlace(), metavar="RUN",
              help="Compute in the same way as this run did (train.speed).")
@click.option("--save-every", type=click.IntRange(1), metavar="STEPS",
              help="Batches between checkpoints; by default they are counted in seconds.")
@click.option("--retries", type=click.IntRange(1), metavar="N",
              help="Train in a process of its own, and if it dies resume from the last checkpoint, at most N times.")
@click.option("--devices", type=click.IntRange(1), metavar="N",
              help="Train on N processes of this machine, each with a GPU or a share of the cores.")
@click.option("--shard", is_flag=True, help="Divide weights and optimiser states among the processes, for models too big for one.")
@click.option("--progress", type=click.Choice(["auto", "live", "plain", "json", "none"]), default="auto", show_default=True,
              help="How to show the training: a live table, plain lines, JSON lines on stdout for programs, or nothing but the "
                   "results; auto is live on a terminal and plain elsewhere.")
@click.option("--profile", is_flag=False, flag_value=str(STEPS), metavar="[STEPS]",
              help=f"Profile so many steps ({STEPS}) after a warm-up: a table of where a step's time goes, and a trace.")
@click.option("--track", multiple=True, type=click.Choice(["tensorboard", "mlflow", "wandb"]),
              help="Also write all metrics for this tool, into a folder of its name in the run; nothing is sent anywhere. Repeat for more.")
@click.option("-q", "--quiet", is_flag=True, help="Short for --progress none.")
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:
    """Train a spec and show what became of it.

    Ends with test scores beside two baselines, the run directory, and a picture of originals, reconstructions and samples.
    Ctrl-C saves and says how to go on.
    """
    if given["spec"] is None and not (given["profile"] or "0").isdecimal():      # click gives `--profile` the word behind it
        given["spec"], given["profile"] = given["profile"], str(STEPS)
    asked = Asked(**given)
    _check(asked)
    prepare_process()
    loaded = _loaded(asked)
    alone = "WORLD_SIZE" not in os.environ
    if alone and (asked.retries is not None or (asked.devices or 1) > 1):
        from aebuild.cli.retries import supervised

        name = loaded.require().spec.name if loaded is not None else ""
        ctx.exit(supervised(ctx, asked.retries or 0, asked.devices or 1, name, asked.run))
    from aebuild.lang.diagnostics import AebuildError
    from aebuild.trainer.progress.choose import choose_display

    first = os.environ.get("RANK", "0") == "0"
    display = choose_display("none" if asked.quiet or not first else asked.progress)  # type: ignore[arg-type]
    if asked.track and first:
        from aebuild.trainer.progress.trackers import Tracked, check_trackers

        check_trackers(asked.track)
        display = Tracked(display, tuple(dict.fromkeys(asked.track)))
    try:
        outcome = _outcome(asked, loaded, display)
    except AebuildError as error:
        display.fail(error.diagnostics, error.exit_code)
        raise
    finally:
        display.stop()               # the terminal's cursor comes back, whatever happened
    _tell(outcome, asked)


def _check(asked: Asked) -> None:
    """Refuses what cannot be meant together."""
    if asked.spec is None and asked.run is None:
        raise click.UsageError("Give a spec to train, or --resume RUN to go on with one.")
    if asked.run is not None and (asked.output is not None or asked.like is not None):
        raise click.UsageError("--resume goes on in the directory of its run, computed as before: no --output and no --plan.")
    if asked.run is None and asked.allow:
        raise click.UsageError("--allow belongs to --resume with a changed spec.")
    if asked.quiet and asked.progress not in ("auto", "none"):
        raise click.UsageError(f"-q shows nothing and --progress {asked.progress} something; leave one of them out.")
    if asked.profile is not None and not (asked.profile.isdecimal() and int(asked.profile)):
        raise click.UsageError(f"--profile takes a number of steps, not {asked.profile!r}.")


def _loaded(asked: Asked) -> Loaded | None:
    """The spec to train, or the changed one of a run; None where a run goes on as it is."""
    spec = asked.spec
    if asked.run is not None:
        from aebuild.results.run_plugins import check_unchanged

        check_unchanged(asked.run, allow=asked.allow)
    if spec is None and not asked.settings:
        return None
    from aebuild.results.opening import open_spec

    if spec is None:
        assert asked.run is not None
        if not os.path.isfile(asked.run / "spec.yaml"):
            return None                          # not a run, which opening it will tell
        spec = str(asked.run / "spec.yaml")
    loaded = open_spec(spec, asked.settings)
    if os.environ.get("RANK", "0") == "0":
        note(*loaded.notes)
    return loaded


def _outcome(asked: Asked, loaded: Loaded | None, display: Display) -> Outcome:
    if loaded is not None:
        loaded.require()
        if os.environ.get("RANK", "0") == "0":
            report(loaded.diagnostics)
    from aebuild.results.experiment import resume, train
    from aebuild.results.revision import Request
    from aebuild.trainer.job import Manner
    from aebuild.trainer.speed.choice import stored

    manner = Manner(stored(asked.like).execution if asked.like is not None else None, int(asked.profile or 0), asked.save_every,
                    asked.devices, asked.shard)
    if asked.run is not None:
        return resume(asked.run, display, change=Request(loaded, asked.allow), manner=manner)
    assert loaded is not None
    return train(loaded, folder=asked.output, display=display, manner=manner)


def _tell(outcome: Outcome, asked: Asked) -> None:
    """The results on stdout, unless they went there as JSON lines; advice and findings on stderr."""
    if asked.progress != "json":
        _print(outcome)
        if not asked.quiet and asked.progress != "none":
            say("\n".join(outcome.advice))
    report(outcome.evaluation.findings)


def _print(outcome: Outcome) -> None:
    from rich.console import Console

    from aebuild.lang.printable import clean
    from aebuild.results.evaluation_table import table

    console = Console(file=sys.stdout, width=columns(), highlight=False)
    console.print(table(outcome.evaluation))
    for remark in outcome.picture.notes:
        console.print(remark, markup=False)
    console.print(f"\nrun      {clean(str(outcome.run))}\npicture  {clean(str(outcome.picture.path))}", soft_wrap=True, markup=False)
