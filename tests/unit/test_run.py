"""Run directories: names, locks across processes, the journal, what is refused."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from aebuild.lang.diagnostics import BusyError, CheckpointError, ResourceError, UsageError
from aebuild.trainer.run_dir.run import MetricsLog, Run
from aebuild.trainer.signals import Interrupted, Signals

ROOT = Path(__file__).resolve().parents[2]


def create(folder: Path | None, parent: Path = Path("runs")) -> Run:
    return Run.create("tiny", spec="name: tiny\nlatent: 3\n", plan={"parameters": 3}, data={"x": 1}, folder=folder, parent=parent)


def test_a_run_describes_itself(tmp_path: Path) -> None:
    with create(tmp_path / "a" / "b") as run:
        assert run.spec == "name: tiny\nlatent: 3\n"
        assert json.loads((run.folder / "plan.json").read_text()) == {"parameters": 3}
        run.log("said")
        assert (run.folder / "log.txt").read_text().endswith(" said\n")
    assert Run.open(tmp_path / "a" / "b").data == {"x": 1}


def test_two_runs_of_one_second_get_two_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "strftime", lambda _: "20260102-030405")
    names = [create(None, tmp_path / "runs").folder.name for _ in range(3)]
    assert names == ["tiny-20260102-030405", "tiny-20260102-030405-2", "tiny-20260102-030405-3"]


def test_a_used_directory_is_refused(tmp_path: Path) -> None:
    create(tmp_path / "run").close()
    with pytest.raises(UsageError, match="holds a run already") as caught:
        create(tmp_path / "run")
    assert "aebuild train --resume" in str(caught.value.diagnostics[0].fix)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").touch()
    with pytest.raises(UsageError, match="is not an empty folder"):
        create(tmp_path / "other")


def test_what_is_not_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no such folder"):
        Run.open(tmp_path / "none")
    with pytest.raises(CheckpointError, match=r"it has no spec\.yaml"):
        Run.open(tmp_path)


def test_the_lock_holds_between_processes_and_dies_with_them(tmp_path: Path) -> None:
    create(tmp_path / "run").close()
    code = (f"from pathlib import Path; from aebuild.trainer.run_dir.run import Run; import time\n"
            f"run = Run.open(Path({str(tmp_path / 'run')!r}), write=True); print('locked', flush=True); time.sleep(60)")
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT,
                          env={**os.environ, "PYTHONPATH": str(ROOT)}) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(BusyError, match=f"is being written by process {other.pid} on") as caught:
            Run.open(tmp_path / "run", write=True)
        assert caught.value.exit_code == 8
        Run.open(tmp_path / "run")                 # reading is free
        other.kill()
        other.wait()
        Run.open(tmp_path / "run", write=True).close()


def test_a_second_lock_in_one_process_is_busy_too(tmp_path: Path) -> None:
    with create(tmp_path / "run"), pytest.raises(BusyError):
        Run.open(tmp_path / "run", write=True)
    Run.open(tmp_path / "run", write=True).close()


def test_a_folder_that_cannot_be_written_is_a_resource_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ResourceError, match="cannot write") as caught:
        create(tmp_path / "file" / "run")
    assert caught.value.exit_code == 6


def test_the_journal_is_cut_back_and_survives_a_torn_line(tmp_path: Path) -> None:
    journal = MetricsLog(tmp_path / "metrics.jsonl")
    assert (journal.read(), journal.length()) == ([], 0)
    journal.append({"epoch": 1})
    journal.sync()
    length = journal.length()
    journal.append({"epoch": 2})
    with journal.path.open("ab") as stream:
        stream.write(b'{"epoch": 3, "lo')
    assert journal.read() == [{"epoch": 1}, {"epoch": 2}]
    journal.cut(length)
    journal.append({"epoch": 2})
    assert journal.read() == [{"epoch": 1}, {"epoch": 2}]


def test_the_first_signal_is_remembered_and_the_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def hold(signals: Signals) -> None:
        with signals.holding():
            os.kill(os.getpid(), signal.SIGINT)
            seen.append(signals.caught)

    with Signals("while trying") as signals, pytest.raises(Interrupted, match="stopped by Ctrl-C while trying"):
        hold(signals)
    assert seen == [signal.SIGINT]
    assert signal.getsignal(signal.SIGINT) is before


def test_an_echo_may_come_when_all_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a caller still tells what became of the first one; a SIGTERM of its own comes later and goes where it always went."""
    seen: list[int] = []
    before = signal.signal(signal.SIGTERM, mine := lambda number, _frame: seen.append(number))
    try:
        monkeypatch.setattr("aebuild.trainer.signals.ECHO", 60.0)
        with pytest.raises(Interrupted), Signals():
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert seen == []
        monkeypatch.setattr("aebuild.trainer.signals.ECHO", 0.0)
        signal.raise_signal(signal.SIGTERM)
        assert seen == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_signal_that_finds_nothing_to_save_raises() -> None:
    with pytest.raises(Interrupted) as caught, Signals("while loading", "aebuild train --resume x"):
        os.kill(os.getpid(), signal.SIGINT)
    assert caught.value.exit_code == 130
    assert caught.value.diagnostics[0].fix == "aebuild train --resume x"


def test_a_computation_that_never_lets_python_run_is_left() -> None:
    """A signal during one call into C without an end: some seconds later the process is gone all the same."""
    code = ("import ctypes, os, threading, signal, time\nfrom aebuild.trainer import signals as interrupt\ninterrupt.PATIENCE = 0.2\n"
            "threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()\n"
            "with interrupt.Signals('in a loop'):\n mutex = ctypes.create_string_buffer(64)\n lock = ctypes.CDLL(None).pthread_mutex_lock\n"
            " lock(mutex); lock(mutex)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60,
                          env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    assert (done.returncode, done.stderr) == (143, "aebuild: stopped by SIGTERM in a loop; nothing was to be saved\n")


def test_the_second_signal_ends_the_process_at_once() -> None:
    code = ("import os, signal; from aebuild.trainer.signals import Signals\n"
            "with Signals() as signals, signals.holding():\n os.kill(os.getpid(), signal.SIGTERM); os.kill(os.getpid(), signal.SIGINT); print('alive')")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
                          check=False)
    assert (done.returncode, done.stdout) == (130, b"")


@pytest.mark.parametrize(("echo", "code", "said"), [(30.0, 1, b"alive\n"), (0.0, 143, b"")])
def test_the_same_sigterm_by_another_way_is_no_second_one(echo: float, code: int, said: bytes) -> None:
    """As under Slurm: it signals every process, and torchrun passes its own signal on."""
    text = (f"import os, signal, time; from aebuild.trainer import signals as interrupt\ninterrupt.ECHO = {echo}\n"
            "with interrupt.Signals() as signals, signals.holding():\n"
            " os.kill(os.getpid(), signal.SIGTERM); os.kill(os.getpid(), signal.SIGTERM); time.sleep(0.2); print('alive', flush=True)")
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
                          check=False)
    assert (done.returncode, done.stdout) == (code, said)


def test_other_threads_leave_signals_alone() -> None:
    before, seen = signal.getsignal(signal.SIGINT), []

    def enter() -> None:
        with Signals():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [before]


@pytest.mark.parametrize(("name", "error", "part"), [
    ("\x1b[31mred", UsageError, "cannot be shown"), ("a\nb", UsageError, "cannot be shown"), ("\udcff", UsageError, "cannot be shown"),
    ("x" * 300, ResourceError, "File name too long")])
def test_a_name_that_cannot_be_shown_or_kept_is_refused(tmp_path: Path, name: str, error: type[Exception], part: str) -> None:
    with pytest.raises(error, match=part):
        create(tmp_path / name)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ResourceError, match="File name too long"):
        Run.create("n" * 300, spec="", plan={}, data={}, parent=tmp_path / "runs")
    with pytest.raises(CheckpointError, match="no such folder"):
        Run.open(tmp_path / name)
