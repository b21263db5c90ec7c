"""Supervision: what is resumed, what is passed on, how groups end, and that signals reach the training."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from aebuild.lang.diagnostics import WorkerLostError
from aebuild.results.experiment import resume, train
from aebuild.trainer.distributed import supervisor as module
from aebuild.trainer.distributed.supervisor import Ending, Worker, supervise, together
from aebuild.trainer.run_dir.run import Run

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SPEC = """
name: tiny
data: {type: digits, limit: 64}
encoder: {layer: linear, width: [12]}
latent: {type: gaussian, dim: 4}
train: {batch_size: 16, epochs: 4, device: cpu}
"""


def python(code: str, **env: str) -> Worker:
    return Worker([sys.executable, "-c", f"import os, signal, sys, time\n{code}"], env)


def ran(commands: Sequence[Worker], again: Sequence[Worker] = (), retries: int = 0) -> tuple[int, list[str]]:
    said: list[str] = []
    return supervise(commands, lambda: again, retries, said.append), said


KILLED = python("os.kill(os.getpid(), signal.SIGKILL)")


@pytest.mark.parametrize("code", [0, 1, 3, 4, 5, 6, 7, 130, 143])
def test_other_exit_codes_are_passed_on(code: int) -> None:
    assert ran([python(f"sys.exit({code})")], [KILLED], 3) == (code, [])


def test_the_killed_and_the_lost_are_resumed() -> None:
    code, said = ran([KILLED], [python("sys.exit(0)")], 2)
    assert code == 0
    assert said == ["the training process was ended by SIGKILL, perhaps for want of memory; resuming from the last checkpoint (1 of 2)"]
    assert ran([python("sys.exit(9)")], [python("sys.exit(7)")], 1)[0] == 7


def test_there_is_an_end_to_retries() -> None:
    with pytest.raises(WorkerLostError, match="ended by SIGKILL, perhaps for want of memory, after 2 retries") as caught:
        ran([KILLED], [KILLED], 2)
    assert caught.value.exit_code == 9


def test_a_group_ends_together_and_is_resumed_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One dies; one listens to SIGTERM, one does not and is killed after the grace period; the first cause is told."""
    monkeypatch.setattr(module, "GRACE", 1.0)
    monkeypatch.setattr(module, "PATIENCE", 0.5)
    deaf = python("signal.signal(signal.SIGTERM, signal.SIG_IGN); open(os.environ['MARK'], 'w').close(); time.sleep(60)",
                  MARK=str(tmp_path / "deaf"))
    polite = python("time.sleep(60)")
    dying = python("while not os.path.exists(os.environ['MARK']): time.sleep(0.01)\nos.kill(os.getpid(), signal.SIGSEGV)",
                   MARK=str(tmp_path / "deaf"))
    again = [python("open(os.environ['MARK'], 'w').close()", MARK=str(tmp_path / str(rank))) for rank in range(3)]
    code, said = ran([deaf, polite, dying], again, 1)
    assert code == 0
    assert "SIGSEGV" in said[0]
    assert {path.name for path in tmp_path.iterdir()} == {"deaf", "0", "1", "2"}


@pytest.mark.parametrize(("codes", "code"), [
    ((0, 0), 0), ((-15, 7), 7), ((-9, 9), 9), ((9, -15), 9), ((6, 6), 6), ((143, 143), 143), ((-9, 143), 9), ((9, 1), 1), ((-11,), 9)])
def test_the_code_of_a_group_is_the_first_that_a_process_told(codes: tuple[int, ...], code: int) -> None:
    assert Ending(codes).code == code


def test_processes_of_a_group_know_their_numbers() -> None:
    workers = together(["true"], 3)
    assert [worker.env["RANK"] for worker in workers] == ["0", "1", "2"]
    assert {worker.env["WORLD_SIZE"] for worker in workers} == {"3"}


def test_a_signal_is_passed_on_and_not_taken_for_a_death() -> None:
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
    assert ran([python("time.sleep(60)")], [KILLED], 3) == (143, [])


def supervised(folder: Path, *words: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "aebuild", "train", "spec.yaml", "-o", "run", "--save-every", "5", "--retries", "2", *words]
    (folder / "spec.yaml").write_text(SPEC)
    return subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def worker_of(folder: Path, process: subprocess.Popen[str], step: int) -> int:
    """The process that trains, when it has written a checkpoint of this step."""
    until = time.monotonic() + 100
    while not (folder / "run" / "checkpoints" / f"step-{step}").exists():
        assert process.poll() is None and time.monotonic() < until, process.communicate()
        time.sleep(0.01)
    return int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])


@pytest.mark.skipif(sys.platform != "linux", reason="finds the child in /proc")
def test_a_killed_training_ends_as_if_nothing_had_been(tmp_path: Path) -> None:
    with supervised(tmp_path, "--set", "train.epochs=300") as process:
        os.kill(worker_of(tmp_path, process, 10), signal.SIGKILL)
        _, said = process.communicate(timeout=200)
    assert process.returncode == 0, said
    assert "ended by SIGKILL, perhaps for want of memory; resuming from the last checkpoint (1 of 2)" in said
    torch.set_num_threads(1)
    whole = train(tmp_path / "spec.yaml", ["train.epochs=300"], folder=tmp_path / "whole")
    mine = resume(tmp_path / "run")
    assert all(torch.equal(tensor, mine.result.model.state_dict()[name]) for name, tensor in whole.result.model.state_dict().items())


@pytest.mark.skipif(sys.platform != "linux", reason="finds the child in /proc")
def test_sigterm_reaches_the_training_which_saves(tmp_path: Path) -> None:
    with supervised(tmp_path, "--set", "train.epochs=100000") as process:
        worker_of(tmp_path, process, 5)
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        _, said = process.communicate(timeout=60)
    assert process.returncode == 143, said
    assert time.monotonic() - began < 20
    assert "aebuild train --resume run" in said
    assert Run.open(tmp_path / "run").checkpoints.load("step").checkpoint.state["progress"]["total"] > 0


@pytest.mark.skipif(sys.platform != "linux", reason="prctl")
def test_the_training_saves_and_ends_with_its_supervisor(tmp_path: Path) -> None:
    with supervised(tmp_path, "--set", "train.epochs=100000") as process:
        worker_of(tmp_path, process, 5)
        process.kill()
        _, said = process.communicate(timeout=60)          # until the worker has closed its end too
    assert "stopped by SIGTERM" in said
    assert Run.open(tmp_path / "run").checkpoints.load("step").checkpoint.state["progress"]["total"] > 0
