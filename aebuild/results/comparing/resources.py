"""How many trainings there are at once, and on which devices."""

from __future__ import annotations

from aebuild.compile.front import load
from aebuild.lang.process import cores
from aebuild.results.comparing.campaign import Campaign
from aebuild.results.comparing.processes import Processes
from aebuild.results.comparing.ray_tasks import RayTasks


def local_workers(campaign: Campaign, jobs: int | None) -> Processes:
    """Processes of this machine: so many at once, or one a GPU, where there is none one a core."""
    devices = 0 if _on_cpu(campaign) else _gpus()
    return Processes(jobs or devices or cores(), devices)


def ray_workers(campaign: Campaign, jobs: int | None) -> RayTasks:
    """Tasks of a Ray cluster: so many at once, or as many as it has cores; UsageError if Ray is not installed."""
    return RayTasks(campaign.folder, jobs)


def _on_cpu(campaign: Campaign) -> bool:
    first = next(iter(sorted((campaign.folder / "specs").glob("*.yaml"))), None)
    return first is not None and load(first).require().spec.train.device == "cpu"


def _gpus() -> int:
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0
