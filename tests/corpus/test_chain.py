"""Refusals that no spec provokes: a sequence that fits no grid, a checkpoint of another model."""

from __future__ import annotations

import pytest
from torch import nn

from aebuild.compile.chain import adapt, site_for
from aebuild.lang.diagnostics import CheckpointError
from aebuild.lang.node import Refusal, Stage
from aebuild.lang.values import Sequence
from aebuild.trainer.checkpoints.checkpoint import Checkpoint
from aebuild.trainer.checkpoints.rotation import Loaded
from aebuild.trainer.checkpoints.writer import fill


def test_a_sequence_of_another_length_than_the_grid_is_refused():
    with pytest.raises(Refusal) as refused:
        adapt(Sequence(5, 8), ("grid",), site_for("encoder.0", Stage(size=(2, 3))), None)
    assert refused.value.diagnostic.code == "AE303"
    assert "sequence(5; 8)" in refused.value.diagnostic.message


def test_a_checkpoint_of_another_model_is_refused():
    other = Checkpoint(nn.Linear(3, 2).state_dict(), {}, {})
    with pytest.raises(CheckpointError) as refused:
        fill(nn.Linear(4, 2), Loaded(other, "last", ()))
    assert refused.value.diagnostics[0].code == "AE507"
