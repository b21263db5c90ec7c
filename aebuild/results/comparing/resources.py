"""How many trainings there are at once, and on which devices."""

from __future__ import annotations

from aebuild.compile.front import load
from aebuild.lang.process import cores
from aebuild.results.comparing.campaign import Campaign


def jobs_and_devices(campaign: Campaign, asked: int | None) -> tuple[int, int]:
    """Trainings at once, as asked or one a GPU, where there is none one a core; and the number of GPUs, 0 where none is used."""
    devices = 0 if _on_cpu(campaign) else _gpus()
    return asked or devices or cores(), devices


def _on_cpu(campaign: Campaign) -> bool:
    first = load(campaign.spec_file(campaign.record.contestants[0].name)).require()
    return first.spec.train.device == "cpu"


def _gpus() -> int:
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0
