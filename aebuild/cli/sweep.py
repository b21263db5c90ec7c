"""`aebuild sweep`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aebuild.cli.comparing import Seeds, show, with_campaign, workers_for
from aebuild.cli.options import Place, named_plugins, near
from aebuild.cli.output import note, say

if TYPE_CHECKING:
    from aebuild.results.comparing.campaign import Campaign

MOST = 10_000          # trials


@dataclass(frozen=True)
class Given:
    """The command line of `aebuild sweep`."""

    spec: str | None
    vary: tuple[str, ...]
    method: str | None
    trials: int | None
    objective: str | None
    seeds: tuple[int, ...] | None
    data: str | None
    epochs: int | None
    steps: int | None
    settings: tuple[str, ...]
    jobs: int | None
    where: str
    output: Path | None
    resume: Path | None
    as_json: bool
    quiet: bool


@click.command("sweep")
@click.argument("spec", required=False, type=Place())
@click.option("--vary", multiple=True, metavar="PATH=VALUES",
              help="What to vary: latent.dim=2,8,32, or a range like 'train.optimizer.lr=1e-4..1e-2(log)'; repeatable.")
@click.option("--method", type=click.Choice(["grid", "random", "model"]),
              help="Try all combinations (grid, the default), or so many drawn at random, or proposed by a model of those before (Optuna).")
@click.option("--trials", type=click.IntRange(1, MOST), metavar="N", help="How many, with --method random (20) or model (20).")
@click.option("--objective", metavar="NAME",
              help="The validation figure that should be small: a loss term (reconstruction), or score for the sum of all.")
@click.option("--seeds", type=Seeds(), metavar="N", help="How many seeds each trial is trained with (1), or which: 1,2,3.")
@click.option("--data", type=Place(), metavar="DATA", help="What to learn from: a known data set or a path.")
@click.option("--epochs", type=click.IntRange(1), metavar="N", help="Passes over the training data of each training.")
@click.option("--steps", type=click.IntRange(1), metavar="N", help="Optimiser steps of each training, instead of epochs.")
@click.option("--set", "settings", multiple=True, metavar="PATH=VALUE", help="Change one value in all trials; may be repeated.")
@with_campaign
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:
    """Train a spec with many values and show which are best, and which none betters for the size of their code or model.

    Trials are judged on the validation split. The folder can be gone on with after Ctrl-C or a crash, and asked for more trials or seeds;
    a trial that fails is reported and stops no other.
    """
    asked = Given(**given)
    _check(asked)
    from aebuild.results.comparing.front_plot import WANTED
    from aebuild.results.comparing.result_files import write_sweep
    from aebuild.results.comparing.shown_table import on_console
    from aebuild.results.comparing.sweep import run_sweep
    from aebuild.results.comparing.tables import remarks

    tell = (lambda sentence: None) if asked.quiet else say
    with _campaign(asked) as campaign:
        with workers_for(campaign, asked.jobs, asked.where, tell) as workers:
            results = run_sweep(campaign, workers, tell, named_plugins(ctx))
        told, table, files = write_sweep(campaign, results)
    show(told, [*on_console(table), *remarks(results)], as_json=asked.as_json)
    for path in files:
        tell(f"results  {path}")
    if len(files) < 2:
        note(WANTED)


def _check(asked: Given) -> None:
    """Refuses what cannot be meant together."""
    if (asked.spec is None) == (asked.resume is None):
        raise click.UsageError("Give the spec to vary, or --resume FOLDER to go on with a sweep.")
    if asked.resume is None and not asked.vary:
        raise click.UsageError("Say what to vary, like --vary latent.dim=2,8,32.")
    changes = (asked.method, asked.objective, asked.data, asked.epochs, asked.steps, asked.output, *asked.settings, *asked.vary)
    if asked.resume is not None and any(each is not None for each in changes):
        raise click.UsageError("--resume goes on with what was asked; only --seeds, --trials and --jobs may be given with it.")
    if asked.epochs is not None and asked.steps is not None:
        raise click.UsageError("--epochs and --steps both say how long to train; give one.")
    if asked.resume is None and asked.method in (None, "grid") and asked.trials is not None:
        raise click.UsageError("--trials belongs to --method random or model; a grid has all combinations.")


def _campaign(asked: Given) -> Campaign:
    from aebuild.results.comparing.contestants import Budget
    from aebuild.results.comparing.sweep import SweepAsked, new_sweep, resumed_sweep

    if asked.resume is not None:
        return resumed_sweep(asked.resume, asked.seeds or (), asked.trials)
    assert asked.spec is not None
    settings = [*([f"--data={near(asked.data)}"] if asked.data is not None else []), *asked.settings]
    wanted = SweepAsked(asked.vary, asked.method or "grid", asked.trials, asked.seeds or Seeds().convert("1", None, None), settings,  # type: ignore[arg-type]
                        Budget(asked.epochs, asked.steps), objective=asked.objective or "reconstruction")
    return new_sweep(asked.spec, wanted, asked.output, note)
