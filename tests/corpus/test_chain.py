"""The refusal that no layer of today provokes: a sequence that fits no grid."""

from __future__ import annotations

import pytest

from aebuild.compile.chain import adapt, site_for
from aebuild.lang.node import Refusal, Stage
from aebuild.lang.values import Sequence


def test_a_sequence_of_another_length_than_the_grid_is_refused():
    with pytest.raises(Refusal) as refused:
        adapt(Sequence(5, 8), ("grid",), site_for("encoder.0", Stage(size=(2, 3))), None)
    assert refused.value.diagnostic.code == "AE303"
    assert "sequence(5; 8)" in refused.value.diagnostic.message
