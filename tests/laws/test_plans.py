"""Every way to compute is open to every shipped spec: precision, memory format, workers, alone and among processes."""

from __future__ import annotations

import math
from functools import cache
from typing import Any, cast

import pytest
import torch
from covering import covering
from models import fine, imagined
from test_together import _whole
from together_worker import small
from torch import nn

from aebuild.compile.build import build
from aebuild.compile.front import Loaded
from aebuild.modules.sync_batch_norm import share_norms
from aebuild.results.shipped import shipped
from aebuild.trainer.batches.loader import SplitLoader
from aebuild.trainer.distributed.process_group import ALONE, MultiProcessGroup, ProcessGroup
from aebuild.trainer.speed import autotune as autotune_module
from aebuild.trainer.speed import execution as execution_module
from aebuild.trainer.speed.autotune import Autotuner, Bench
from aebuild.trainer.speed.execution import Execution, candidates

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
NORMED = """
data: digits
encoder: [conv: {width: 4, stride: 2, norm: batch}, linear: {width: 4, norm: batch}]
latent: {type: gaussian, dim: 2}
train: {batch_size: BATCH}
"""


def tuner_of(loaded: Loaded, group: ProcessGroup = ALONE) -> Autotuner:
    """What would measure this spec."""
    assert loaded.plan is not None and loaded.info is not None
    model = build(loaded.plan)
    if group.size > 1:
        share_norms(model)
    names = frozenset(name for name, _ in model.named_parameters())
    return Autotuner(loaded.plan, model, SplitLoader(imagined(loaded.info, loaded.plan).train, CPU), names, lambda: False, group)


@cache
def emulates_bfloat16() -> bool:
    """True if torch can compute an LSTM in bfloat16 on this processor."""
    try:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            nn.LSTM(4, 4)(torch.zeros(1, 2, 4))
    except RuntimeError:
        return False
    return True


@pytest.mark.parametrize("name", covering())
def test_every_candidate_takes_a_step(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch emulates bfloat16 where the processor lacks it, but for an LSTM on some; the compiler is left out."""
    tuner = tuner_of(fine(small(_whole(shipped()[name]))))
    if emulates_bfloat16() or not any(isinstance(module, nn.LSTM) for module in tuner.model.modules()):
        monkeypatch.setattr(execution_module, "computes_bfloat16", lambda: True)
    base = Execution(threads=2)
    changes = [change for _, change in candidates(base, tuner.model, CPU, 0.0, 11)]
    assert ({"precision": "bfloat16"} in changes) is execution_module.computes_bfloat16()
    together: dict[str, Any] = {name: value for change in changes for name, value in change.items()}
    for change in (*changes, together):
        bench = Bench(tuner, tuner.model, base.but(**change))
        losses, gradients = bench.gradients()
        assert all(map(math.isfinite, losses)), change
        assert all(bool(gradient.isfinite().all()) for gradient in gradients), change
    bench.seconds(1)


@pytest.mark.parametrize("batch", [2, 3])
def test_a_share_of_one_sample_is_measured(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch norm alone would refuse one value per channel; the processes that do not measure count as its others."""
    monkeypatch.setattr(autotune_module, "WORTH", 0.0)
    tuner = tuner_of(fine(NORMED.replace("BATCH", str(batch))), MultiProcessGroup(0, 2, 0, "gloo", cast(Any, None)))
    chosen = tuner.choose()
    assert chosen.trials
    assert not [trial for trial in chosen.trials if trial.verdict.startswith("failed")]


def test_the_first_steps_are_paid_from_the_time_for_measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock that only steps move: all that is computed, trials begun late included, stays within the share."""
    clock = [0.0]

    def seconds(bench: Bench, steps: int) -> float:
        clock[0] += steps
        return 1.0

    monkeypatch.setattr(Bench, "seconds", seconds)
    monkeypatch.setattr(autotune_module.time, "perf_counter", lambda: clock[0])
    tuner = tuner_of(fine(NORMED.replace("batch_size: BATCH", "batch_size: 2, epochs: 15")))
    chosen = tuner.choose()
    assert [trial for trial in chosen.trials if "used up" in trial.verdict]
    assert [trial for trial in chosen.trials if "used up" not in trial.verdict]
    assert clock[0] <= autotune_module.SHARE * tuner.batches
