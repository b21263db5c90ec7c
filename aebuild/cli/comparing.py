"""What the verbs that train many specs share: seeds, jobs, where to go on, how results are told."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import click

from aebuild.cli.options import FolderPlace, with_plugins
from aebuild.cli.output import columns
from aebuild.lang.json_text import json_text

if TYPE_CHECKING:
    from aebuild.results.comparing.campaign import Campaign
    from aebuild.results.comparing.processes import Workers

FIRST_SEED = 42          # the usual value of train.seed
MOST_SEEDS = 1000
Command = Callable[..., Any]


class Seeds(click.ParamType):  # type: ignore[type-arg]  # not generic in older versions of click
    """How many seeds, 42 and those after it; or the seeds themselves with commas between."""

    name = "seeds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        """The seeds, each once."""
        if isinstance(value, tuple):
            return value
        words = [word.strip() for word in str(value).split(",")]
        if not all(word.isascii() and word.isdecimal() for word in words if word) or not any(words):
            self.fail(f"{value!r} is neither a number of seeds, like 5, nor a list of them, like 1,2,3.", param, ctx)
        numbers = [int(word) for word in words if word]
        if len(words) > 1:
            if max(numbers) >= 2**63:
                self.fail(f"{max(numbers)} is no seed: they are below 2^63.", param, ctx)
            return tuple(dict.fromkeys(numbers))
        if not 1 <= numbers[0] <= MOST_SEEDS:
            self.fail(f"there are 1 to {MOST_SEEDS} seeds, not {numbers[0]:,}; a single seed is written with a comma, like {numbers[0]},",
                      param, ctx)
        return tuple(range(FIRST_SEED, FIRST_SEED + numbers[0]))


def with_campaign(command: Command) -> Command:
    """Adds the options of all trainings together."""
    for option in (
        click.option("--jobs", type=click.IntRange(1), metavar="N",
                     help="Trainings at once, one thread each; by default one a core, or one a GPU."),
        click.option("--on", "where", type=click.Choice(["here", "ray"]), default="here", show_default=True,
                     help="Where to train: in processes here, or as tasks of the Ray cluster that RAY_ADDRESS names."),
        click.option("-o", "--output", type=FolderPlace(), metavar="FOLDER",
                     help="The folder of the runs and the results; the same command goes on there."),
        click.option("--resume", type=FolderPlace(), metavar="FOLDER", help="Go on in this folder with what was asked there."),
        click.option("--json", "as_json", is_flag=True, help="The tables as JSON, for programs."),
        click.option("-q", "--quiet", is_flag=True, help="Say nothing but results, warnings and errors."),
        with_plugins,
    )[::-1]:
        command = option(command)
    return command


def workers_for(campaign: Campaign, jobs: int | None, where: str, tell: Callable[[str], None]) -> AbstractContextManager[Workers]:
    """Who carries the trainings out: processes here, or tasks of Ray."""
    from aebuild.results.comparing.resources import local_workers, ray_workers

    workers = ray_workers(campaign, jobs) if where == "ray" else local_workers(campaign, jobs)
    tell(f"{campaign.folder}: {workers.jobs} at once")
    return workers


def show(told: dict[str, Any], tables: Iterable[Any], *, as_json: bool) -> None:
    """The results on stdout."""
    if as_json:
        click.echo(json_text(told, 1))
        return
    from rich.console import Console

    console = Console(file=sys.stdout, width=columns(), highlight=False)
    for part in tables:
        console.print(part)
