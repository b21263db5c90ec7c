"""Memory and utilisation."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tiny_training import phase, tiny_model, tiny_plan, tiny_run, tiny_splits

from aebuild.trainer.fit import train
from aebuild.trainer.job import Job
from aebuild.trainer.profiling import utilisation as utilisation_module
from aebuild.trainer.profiling.timers import Timers
from aebuild.trainer.profiling.utilisation import UtilisationMeter, matmul_speed
from aebuild.trainer.progress import throughput as throughput_module
from aebuild.trainer.progress.display import EpochReport, Quiet, Status

CPU = torch.device("cpu")


def test_utilisation_is_work_over_time_over_the_peak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each phase's samples count at its own cost; nothing is measured in the first seconds, and then once."""
    cost, calls = {"first": 10, "second": 1000}, []
    monkeypatch.setattr(utilisation_module, "step_flops", lambda plan, phase: cost[phase.name])
    monkeypatch.setattr(utilisation_module, "matmul_speed", lambda device, dtype: calls.append(dtype) or 5000.0)
    first, second = phase(name="first"), phase(name="second")
    timers = Timers()
    with tiny_run(tmp_path / "run") as run:
        run.write("environment.json", {"torch": "2"})
        meter = UtilisationMeter(SimpleNamespace(), CPU, run, timers)
        assert meter.utilisation(first, 500, 5.0) is None
        assert meter.utilisation(first, 1000, 9.0) is None
        assert calls == []
        assert meter.utilisation(second, 1030, 20.0) == pytest.approx((1000 * 10 + 30 * 1000) / 20 / 5000)
        assert meter.utilisation(second, 1040, 20.0) == pytest.approx((1000 * 10 + 40 * 1000) / 20 / 5000)
    assert calls == [torch.float32]
    assert json.loads((run.folder / "environment.json").read_text()) == {"torch": "2", "matmul_flops_per_second": 5000,
                                                                         "matmul_dtype": "float32"}
    assert "measuring" in timers.spent()


def test_a_short_measurement_finds_some_speed_and_draws_from_nobodys_generator() -> None:
    before = torch.get_rng_state()
    assert matmul_speed(CPU, torch.float32, seconds=0.0) > 1e6
    assert torch.equal(torch.get_rng_state(), before)


def test_measuring_changes_no_bit_and_every_status_tells_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Seen(Quiet):
        def __init__(self) -> None:
            self.seen: list[Status] = []

        def epoch(self, report: EpochReport) -> None:
            self.seen.append(report.status)

    with tiny_run(tmp_path / "plain") as run:
        plain = train(Job(tiny_plan(), tiny_splits(), run), model=tiny_model())
    monkeypatch.setattr(throughput_module, "LOOK_EVERY", 0.0)
    monkeypatch.setattr(utilisation_module, "MEASURE_AFTER", 0.0)
    monkeypatch.setattr(utilisation_module, "MEASURE_FOR", 0.0)
    monkeypatch.setattr(utilisation_module, "step_flops", lambda plan, phase: 1000)
    display = Seen()
    with tiny_run(tmp_path / "measured") as run:
        measured = train(Job(tiny_plan(), tiny_splits(), run, display=display), model=tiny_model())
    assert all(torch.equal(a, b) for a, b in zip(plain.model.state_dict().values(), measured.model.state_dict().values(), strict=True))
    assert all(status.memory and status.memory > 1 << 24 and status.utilisation and status.utilisation > 0 for status in display.seen)
