"""Whatever exact trains, auto trains: every way that may be tried runs, and measuring never ends a training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from models import fine, imagined
from test_execution import CPU, IMAGES, Heard, trained

from aebuild.compile.build import build
from aebuild.compile.front import load
from aebuild.trainer import choice as choice_module
from aebuild.trainer import execution as execution_module
from aebuild.trainer.choice import Bench, Tuner
from aebuild.trainer.execution import candidates, exact
from aebuild.trainer.feed import Feed
from aebuild.trainer.group import Group

ROOT = Path(__file__).resolve().parents[2]
SPECS = sorted(ROOT.glob("specs/**/*.yaml"))


def tuner_of(loaded: Any, group: Group | None = None) -> Tuner:
    model = build(loaded.plan)
    feed = Feed(imagined(loaded.info, loaded.plan).train, CPU)
    return Tuner(loaded.plan, model, feed, frozenset(name for name, _ in model.named_parameters()), lambda: False, group or Group())


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_candidate_of_every_shipped_spec_runs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """bfloat16 too, which torch emulates on a processor that lacks it, alone and on top of each other change."""
    monkeypatch.setattr(execution_module, "_computes_bfloat16", lambda: True)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    loaded = load(path, ["train.batch_size=4"])
    tuner = tuner_of(loaded)
    base = exact(CPU)
    ways: dict[str, dict[str, Any]] = dict(candidates(base, tuner.model, CPU, 0.0, 2))
    half = ways.pop("bfloat16")
    for change in (half, *({**way, **half} for way in ways.values()), *ways.values()):
        bench = Bench(tuner, tuner.model, base.but(**change))
        losses, gradients = bench.gradients()
        assert all(torch.tensor(losses).isfinite()), change
        assert all(gradient.isfinite().all() for gradient in gradients), change
        bench.seconds(1)


class Pair(Group):
    """The first of two processes, with the rows that it would have and nobody to talk to."""

    size = 2

    def own(self, start: int, stop: int) -> tuple[int, int]:
        return start, start + (stop - start + 1) // 2


def test_a_share_of_one_sample_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice_module, "WORTH", 0.0)
    spec = "data: digits\nencoder: [linear: {width: 16, norm: batch}]\nlatent: {type: gaussian, dim: 4}\ntrain: {batch_size: 2, epochs: 1}"
    assert tuner_of(fine(spec), Pair()).choose().milliseconds is not None


def test_a_measurement_that_fails_leaves_exact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(tuner: Tuner) -> Any:
        raise ValueError("Expected more than 1 value per channel\nand more")

    monkeypatch.setattr(Tuner, "choose", fail)
    heard = Heard()
    trained(IMAGES, tmp_path / "run", display=heard)
    assert any("measuring failed: ValueError: Expected more than 1 value per channel" in note for note in heard.notes)
