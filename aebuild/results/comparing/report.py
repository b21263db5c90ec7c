"""The results of a campaign as files in its folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from aebuild.lang.printable import clean
from aebuild.results.comparing.bakeoff import Results
from aebuild.results.comparing.campaign import Campaign
from aebuild.results.comparing.tables import markdown
from aebuild.trainer.run_dir.atomic_files import replace_file, replace_json


def write_results(campaign: Campaign, results: Results) -> Path:
    """Writes `results.json` and `KIND.md`; the page."""
    page = campaign.folder / f"{campaign.record.kind}.md"
    replace_json(campaign.folder / "results.json", results.to_json())
    replace_file(page, markdown(results, f"{campaign.record.kind.capitalize()} of {len(results.entries)}", list(_how(campaign))).encode())
    return page


def _how(campaign: Campaign) -> Iterator[str]:
    record = campaign.record
    asked = [f"{key} {', '.join(map(str, value)) if isinstance(value, list) else value}" for key, value in record.asked.items() if value]
    yield clean(f"{len(record.contestants)} contestants with {len(record.seeds)} seeds ({', '.join(map(str, record.seeds))})"
                + (f"; {'; '.join(asked)}" if asked else "") + ". Each row's spec stands in `specs/`, its runs in `runs/`.")
