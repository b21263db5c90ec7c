"""Lets the disk fail at each call of the checkpoint writer of a real `aebuild train`, and damages what was written.

    python benchmarks/faults.py [--every N] [--damages 500]

Needs strace. A tiny training writes a checkpoint at every third batch, in a thread that strace follows. A first run counts the
calls that open, write, wait for, rename, remove or make something; then each of them in turn fails with ENOSPC and with EIO
(with `--every N` each N-th). The exit code must be 6 with one message and no traceback, and what is left must resume to the
same weights, bit by bit. Then a bit is flipped or the end cut off at random places of a checkpoint: all must be noticed.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import torch
from kill_sweep import load_modules
from safetensors.numpy import load_file

from aebuild.cli import main as aebuild
from aebuild.trainer.checkpoints.checkpoint import read_folder
from aebuild.trainer.checkpoints.reader import Damaged
from aebuild.trainer.checkpoints.writer import CheckpointWriter

CALLS = ("openat", "write", "fsync", "rename", "renameat", "mkdir", "unlinkat", "rmdir")
SPEC = """
name: tiny
data: {type: digits, limit: 64}
encoder: {layer: linear, width: [12]}
latent: {type: continuous, dim: 4}
train: {batch_size: 16, epochs: 2, device: cpu, keep: last}
"""


def trained(folder: Path, words: list[str], strace: list[str] | None = None) -> tuple[int, str]:
    """`aebuild train` with these words in a forked child, its writer's thread under strace: exit code and stderr."""
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if not child:
        _child(folder, words, (ready[1], go[0]) if strace is not None else None)
    tracer = None
    if strace is not None:
        thread = int(os.read(ready[0], 16))
        tracer = subprocess.Popen(["strace", "-qq", *strace, "-p", str(thread)], stderr=subprocess.DEVNULL)
        while "TracerPid:\t0" in Path(f"/proc/{child}/task/{thread}/status").read_text():
            time.sleep(0.005)
        os.write(go[1], b"go")
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if tracer is not None:
        tracer.wait()
    for end in (*ready, *go):
        os.close(end)
    return code, (folder / "stderr").read_text()


def _child(folder: Path, words: list[str], pipes: tuple[int, int] | None) -> None:
    try:
        os.chdir(folder)
        for number, name in ((1, os.devnull), (2, "stderr")):
            os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        if pipes is not None:
            _announce(*pipes)
        sys.argv = ["aebuild", "train", *words, "--save-every", "3", "-q"]
        aebuild()
    except SystemExit as stop:
        Path("modules").write_text("\n".join(sys.modules))
        sys.stderr.flush()
        os._exit(int(stop.code or 0))
    os._exit(99)


def _announce(ready: int, go: int) -> None:
    """Lets the writer's thread say who it is and wait, before it first writes."""
    plain, told = CheckpointWriter._write, threading.Event()

    def write(*given: object) -> float:
        if not told.is_set():
            told.set()
            os.write(ready, str(threading.get_native_id()).encode())
            os.read(go, 2)
        return plain(*given)

    CheckpointWriter._write = write  # type: ignore[assignment, method-assign]


def weights(run: Path) -> bytes:
    """The last model of a run, as bytes."""
    newest = max((run / "checkpoints").glob("step-*"), key=lambda path: int(path.name.split("-")[1]))
    return b"".join(name.encode() + array.tobytes() for name, array in sorted(load_file(newest / "model.safetensors").items()))


def judged(folder: Path, fault: str, whole: bytes) -> str:
    """What was wrong when this call failed, or nothing."""
    run = folder / "run"
    shutil.rmtree(run, ignore_errors=True)
    code, said = trained(folder, ["spec.yaml", "-o", "run"], ["-o", "/dev/null", "-e", f"trace={','.join(CALLS)}", "-e", f"inject={fault}"])
    if code != 6 or said.count("AE602 ─") != 1 or "Traceback" in said:
        return f"exit {code}: {said.strip()[:300]}"
    code, said = trained(folder, ["--resume", "run"])
    if code != 0:
        return f"does not resume, exit {code}: {said.strip()[:300]}"
    return "" if weights(run) == whole else "resumed to other weights"


def undamaged(folder: Path, chance: random.Random, rounds: int) -> Counter[str]:
    """Damages of a checkpoint that were not noticed, by kind, beside how many there were."""
    found: Counter[str] = Counter()
    for _ in range(rounds):
        file = chance.choice(sorted(path for path in folder.iterdir() if path.stat().st_size))
        whole, kind = file.read_bytes(), chance.choice(("flipped bit", "truncation"))
        place = chance.randrange(len(whole))
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << chance.randrange(8)]) + whole[place + 1:]
                         if kind == "flipped bit" else whole[:place])
        try:
            read_folder(folder)
            found[f"{kind} unnoticed"] += 1
        except Damaged:
            found[kind] += 1
        file.write_bytes(whole)
    return found


def main() -> None:
    """Prints a line for each call and exits with 1 if anything was not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--damages", type=int, default=500)
    options = parser.parse_args()
    torch.set_num_threads(1)
    failed = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "spec.yaml").write_text(SPEC)
        assert trained(folder, ["spec.yaml", "-o", "first"])[0] == 0
        load_modules(folder / "modules")
        code, said = trained(folder, ["spec.yaml", "-o", "whole"], ["-o", str(folder / "calls"), "-e", f"trace={','.join(CALLS)}"])
        assert code == 0, said
        whole = weights(folder / "whole")
        counts = Counter(re.findall(r"^(\w+)\(", (folder / "calls").read_text(), re.MULTILINE))
        for call, count in sorted(counts.items()):
            wrong = {f"{call} {number} {error}": told for number in range(1, count + 1, options.every) for error in ("ENOSPC", "EIO")
                     if (told := judged(folder, f"{call}:error={error}:when={number}", whole))}
            print(f"{call:<10} {len(range(1, count + 1, options.every)):>4} calls × ENOSPC and EIO: {len(wrong)} failed", flush=True)
            for point, told in wrong.items():
                print(f"    {point}: {told}")
            failed += len(wrong)
        damages = undamaged(max((folder / "whole" / "checkpoints").iterdir()), random.Random(0), options.damages)
    print(", ".join(f"{kind}: {count}" for kind, count in sorted(damages.items())))
    sys.exit(1 if failed or any("unnoticed" in kind for kind in damages) else 0)


if __name__ == "__main__":
    main()
