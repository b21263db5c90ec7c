"""`aebuild bakeoff`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aebuild.cli.comparing import Seeds, show, with_campaign, workers_for
from aebuild.cli.options import FiniteRange, Place, named_plugins, near
from aebuild.cli.output import note, report, say

if TYPE_CHECKING:
    from aebuild.results.comparing.campaign import Campaign

SEEDS = "5"
TOLERANCE = 2.0          # percent


@dataclass(frozen=True)
class Given:
    """The command line of `aebuild bakeoff`."""

    specs: tuple[str, ...]
    seeds: tuple[int, ...] | None
    match: str | None
    match_to: str | None
    tolerance: float | None
    keep_unmatched: bool
    data: str | None
    tasks: tuple[str, ...]
    epochs: int | None
    steps: int | None
    settings: tuple[str, ...]
    jobs: int | None
    where: str
    output: Path | None
    resume: Path | None
    as_json: bool
    quiet: bool


@click.command("bakeoff")
@click.argument("specs", nargs=-1, type=Place(), metavar="SPEC SPEC...")
@click.option("--seeds", type=Seeds(), metavar="N", help=f"How many seeds each spec is trained with ({SEEDS}), or which: 1,2,3.")
@click.option("--match", type=click.Choice(["params", "macs", "code-bits"]),
              help="Scale the widths of the specs until all have the parameters, operations or code of the first.")
@click.option("--match-to", metavar="NAME", help="With --match: the spec whose size all get, instead of the first.")
@click.option("--tolerance", type=FiniteRange(0, 100), metavar="PERCENT",
              help=f"With --match: how far sizes may be apart ({TOLERANCE:g}).")
@click.option("--keep-unmatched", is_flag=True, help="With --match: take a spec as it is that cannot get the size.")
@click.option("--data", type=Place(), metavar="DATA", help="What all learn from: a known data set or a path.")
@click.option("--tasks", "--task", "tasks", multiple=True, metavar="TASK",
              help="Ask this task too, written as in a spec: reconstruction, or 'probe: {labels: 550}'; repeatable.")
@click.option("--epochs", type=click.IntRange(1), metavar="N", help="Passes over the training data of each training.")
@click.option("--steps", type=click.IntRange(1), metavar="N", help="Optimiser steps of each training, instead of epochs.")
@click.option("--set", "settings", multiple=True, metavar="PATH=VALUE", help="Change one value in all specs; may be repeated.")
@with_campaign
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:
    """Train several specs on the same data with the same budget and compare them: one table a task, over several seeds.

    Each figure has its interval, the best is marked, and so is what cannot be told from it. The folder can be gone on with after Ctrl-C
    or a crash, and asked for more seeds; a training that fails is reported and stops no other.
    """
    asked = Given(**given)
    _check(asked)
    from aebuild.results.comparing.bakeoff import run_bakeoff
    from aebuild.results.comparing.result_files import write_bakeoff
    from aebuild.results.comparing.tables import console_tables

    tell = (lambda sentence: None) if asked.quiet else say
    with _campaign(asked) as campaign:
        with workers_for(campaign, asked.jobs, asked.where, tell) as workers:
            results = run_bakeoff(campaign, workers, tell, named_plugins(ctx))
        page = write_bakeoff(campaign, results)
    show(results.to_json(), console_tables(results), as_json=asked.as_json)
    report(results.warnings)
    tell(f"results  {page}")


def _check(asked: Given) -> None:
    """Refuses what cannot be meant together."""
    if bool(asked.specs) == (asked.resume is not None):
        raise click.UsageError("Give the specs to compare, or --resume FOLDER to go on with a bakeoff.")
    changes = (asked.match, asked.match_to, asked.tolerance, asked.data, asked.epochs, asked.steps, asked.output, *asked.settings)
    if asked.resume is not None and (any(each is not None for each in changes) or asked.keep_unmatched):
        raise click.UsageError("--resume goes on with what was asked; only --seeds, --tasks and --jobs may be given with it.")
    if asked.epochs is not None and asked.steps is not None:
        raise click.UsageError("--epochs and --steps both say how long to train; give one.")
    if asked.match is None and (asked.match_to is not None or asked.tolerance is not None or asked.keep_unmatched):
        raise click.UsageError("--match-to, --tolerance and --keep-unmatched belong to --match.")


def _campaign(asked: Given) -> Campaign:
    from aebuild.results.comparing.bakeoff import Asked, new_bakeoff, resumed_bakeoff
    from aebuild.results.comparing.contestants import Budget
    from aebuild.results.comparing.matching import Match

    if asked.resume is not None:
        return resumed_bakeoff(asked.resume, asked.seeds or (), asked.tasks)
    share = (TOLERANCE if asked.tolerance is None else asked.tolerance) / 100
    match = Match(asked.match, asked.match_to, share, asked.keep_unmatched) if asked.match is not None else None  # type: ignore[arg-type]
    settings = [*([f"--data={near(asked.data)}"] if asked.data is not None else []), *asked.settings]
    seeds = asked.seeds or Seeds().convert(SEEDS, None, None)
    wanted = Asked(seeds, settings, Budget(asked.epochs, asked.steps), asked.tasks, match)
    return new_bakeoff(asked.specs, wanted, asked.output, note)
