"""A command whose output takes nothing, or whose current folder is gone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-m", "aebuild")
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
VQVAE = str(ROOT / "specs" / "vqvae.yaml")


@pytest.mark.parametrize("words", [
    ("summary", VQVAE),
    ("train", VQVAE, "-q", "-o", "run", "--set", "train.epochs=1", "--set", "data.limit=50", "--set", "train.device=cpu")])
def test_an_output_that_takes_nothing_is_a_resource_error(words: tuple[str, ...], tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([*COMMAND, *words], stdout=full, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=ENVIRONMENT, check=False)
    assert done.returncode == 6, done.stderr
    assert "AE604" in done.stderr
    assert "cannot write to standard output: No space left on device" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert (tmp_path / "run" / "evaluation.json").exists() is (words[0] == "train")


@pytest.mark.parametrize(("words", "code"), [(("validate", "nowhere.yaml"), 2), (("train", "--resume", "nowhere"), 5)])
def test_messages_that_cannot_be_written_leave_the_code(words: tuple[str, ...], code: int, tmp_path: Path) -> None:
    """The code tells what the message would have told."""
    with open("/dev/full", "w") as full:
        assert subprocess.run([*COMMAND, *words], stderr=full, cwd=tmp_path, env=ENVIRONMENT, check=False).returncode == code


@pytest.mark.parametrize("words", [("validate", VQVAE), ("train", VQVAE)])
def test_a_folder_that_is_gone_is_said(words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    done = subprocess.run(["sh", "-c", 'rmdir "$PWD"; exec "$@"', "sh", *COMMAND, *words], capture_output=True, text=True, cwd=tmp_path / "gone",
                          env=ENVIRONMENT, check=False)
    assert done.returncode == 2, done.stderr
    assert "AE605" in done.stderr
