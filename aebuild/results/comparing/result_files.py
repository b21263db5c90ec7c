"""The results of a campaign as files in its folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from aebuild.lang.printable import clean
from aebuild.results.comparing.bakeoff import Results
from aebuild.results.comparing.campaign import Campaign
from aebuild.results.comparing.front_plot import draw_front
from aebuild.results.comparing.shown_table import Shown
from aebuild.results.comparing.sweep_table import sweep_table
from aebuild.results.comparing.tables import markdown
from aebuild.results.comparing.trial_figures import points_of
from aebuild.trainer.run_dir.atomic_files import replace_file, replace_json

NOT_TOLD = ("name", "spec")      # of what was asked: they stand in the folder as files


def write_bakeoff(campaign: Campaign, results: Results) -> Path:
    """Writes `results.json` and `bakeoff.md`; the page."""
    return _write(campaign, results, results.to_json(), f"Bakeoff of {len(results.entries)}", ())


def write_sweep(campaign: Campaign, results: Results) -> tuple[dict[str, Any], Shown, list[Path]]:
    """Writes `results.json`, `sweep.md` and the plot; the JSON, the table, and the files that people look at."""
    objective = str(campaign.record.asked["objective"])
    points = points_of(results, objective)
    told = results.to_json() | {"objective": objective, "trials": [point.to_json() for point in points]}
    table = sweep_table(points, objective)
    page = _write(campaign, results, told, f"Sweep of {campaign.record.asked['name']}", [table])
    return told, table, [page, *draw_front(points, campaign.folder)]


def _write(campaign: Campaign, results: Results, told: dict[str, Any], title: str, tables: Sequence[Shown]) -> Path:
    page = campaign.folder / f"{campaign.record.kind}.md"
    replace_json(campaign.folder / "results.json", told)
    replace_file(page, markdown(results, title, list(_how(campaign)), tables).encode())
    return page


def _how(campaign: Campaign) -> Iterator[str]:
    record = campaign.record
    asked = [f"{key} {', '.join(map(str, value)) if isinstance(value, list) else value}" for key, value in record.asked.items()
             if value and key not in NOT_TOLD]
    yield clean(f"{len(record.contestants)} contestants with {len(record.seeds)} seeds ({', '.join(map(str, record.seeds))})"
                + (f"; {'; '.join(asked)}" if asked else "") + ". Each row's spec stands in `specs/`, its runs in `runs/`.")
