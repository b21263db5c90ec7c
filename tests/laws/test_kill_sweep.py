"""Killed at random points, a training resumes to the same bits: the short form of benchmarks/kill_sweep.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SPEC = """
name: swept
data: digits
encoder: {layer: linear, width: [16, 8]}
latent: {type: codebook, codes: 8, dim: 4, groups: 2, update: ema, init: kmeans}
losses: {reconstruction: bernoulli}
train: {optimizer: {type: adamw, schedule: cosine}, phases: [greedy, main]}
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_dozen_kills(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC)
    command = [sys.executable, str(ROOT / "benchmarks" / "kill_sweep.py"), "--points", "12", str(tmp_path / "spec.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "failed: 0" in done.stdout
