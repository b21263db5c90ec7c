"""Several processes: started, checked, killed, stopped, resumed; by aebuild itself and by torchrun."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from queue import SimpleQueue

import pytest
import torch
from torch import Tensor, distributed, nn
from torch.distributed.tensor import DTensor

from aebuild.compile.build import build
from aebuild.compile.front import load
from aebuild.compile.plan import Plan
from aebuild.lang.diagnostics import UsageError
from aebuild.modules.autoencoder import Autoencoder
from aebuild.modules.codebook import CodebookLatent
from aebuild.modules.likelihoods import LearnedGaussian
from aebuild.modules.outputs import Batch
from aebuild.trainer.distributed.fsdp import shard, whole
from aebuild.trainer.distributed.heartbeat import LOOPBACK, Heartbeat
from aebuild.trainer.distributed.init_distributed import _address, join, rank_of, timeout_of, world_of
from aebuild.trainer.distributed.process_group import ALONE
from aebuild.trainer.distributed.supervisor import bounded
from aebuild.trainer.run_dir.run import Run

pytestmark = pytest.mark.slow

STARTED: list[subprocess.Popen[str]] = []
ROOT = Path(__file__).resolve().parents[2]
SPEC = "data: digits\nencoder: [linear: 8]\nlatent: {type: gaussian, dim: 2}\ntrain: {epochs: EPOCHS, batch_size: 500}\n"
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("WORLD", "RANK", "SLURM", "MASTER", "LOCAL_"))}


def environment(**more: str) -> dict[str, str]:
    return {**CLEAN, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **more}


def other_constant(folder: Path, module: str, name: str, value: float) -> dict[str, str]:
    """The environment of processes in which a module's constant is another."""
    (folder / "sitecustomize.py").write_text(f"import {module} as changed\nchanged.{name} = {value}\n")
    return environment(PYTHONPATH=f"{folder}{os.pathsep}{ROOT}")


def long_echoes(folder: Path) -> dict[str, str]:
    """The environment of processes that take a repeated SIGTERM as one for a minute, however busy the machine is."""
    return other_constant(folder, "aebuild.trainer.signals", "ECHO", 60.0)


def short_grace(folder: Path) -> dict[str, str]:
    """The environment of a supervisor that does not wait long for a process that cannot answer."""
    return other_constant(folder, "aebuild.trainer.distributed.supervisor", "GRACE", 1.0)


def begin(folder: Path, *arguments: str, epochs: int = 2, **more: str) -> subprocess.Popen[str]:
    spec = folder / "spec.yaml"
    spec.write_text(SPEC.replace("EPOCHS", str(epochs)))
    command = [sys.executable, "-m", "aebuild", "train", *(arguments if "--resume" in arguments else (str(spec), *arguments))]
    process = subprocess.Popen(command, cwd=folder, env=environment(**more), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    STARTED.append(process)
    return process


@pytest.fixture(autouse=True)
def _nothing_goes_on() -> Iterator[None]:
    """Whatever a failed test left running is stopped."""
    yield
    while STARTED:
        process = STARTED.pop()
        if process.poll() is None:
            process.terminate()
        process.communicate()


def journal(run: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def losses(run: Path) -> list[float]:
    return [float(str(row["loss"])) for row in journal(run)]


def rank_processes(launcher: int) -> dict[int, int]:
    """The workers of a launcher by their rank."""
    found = {}
    for child in Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split():
        rank = re.search(rb"\0RANK=(\d+)\0", Path(f"/proc/{child}/environ").read_bytes())
        if rank is not None:
            found[int(rank[1])] = int(child)
    return found


def under_way(run: Path) -> None:
    until = time.monotonic() + 120
    while not (run / "metrics.jsonl").exists():
        assert time.monotonic() < until, "it never began"
        time.sleep(0.05)


def test_two_processes_are_one_training(tmp_path: Path) -> None:
    told = [process.communicate(timeout=120) for process in (begin(tmp_path, "-o", "one"), begin(tmp_path, "-o", "two", "--devices", "2"))]
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-4)
    evaluations = [json.loads((tmp_path / name / "evaluation.json").read_text())["model"]["mse"] for name in ("one", "two")]
    assert evaluations[0] == pytest.approx(evaluations[1], rel=1e-4)
    assert "2 processes: gloo" in told[1][1]
    assert told[0][0].replace("one", "two") == told[1][0], "only the first process talks"
    assert json.loads((tmp_path / "two" / "environment.json").read_text())["processes"] == 2


@pytest.mark.parametrize(("number", "wanted"), [(signal.SIGKILL, 0), (signal.SIGSTOP, 1)])
def test_a_lost_process_ends_all_and_a_resume_goes_on(number: signal.Signals, wanted: int, tmp_path: Path) -> None:
    process = begin(tmp_path, "-o", "run", "--devices", "2", epochs=100_000, **{**short_grace(tmp_path), "AEBUILD_TIMEOUT": "8"})
    under_way(tmp_path / "run")
    os.kill(rank_processes(process.pid)[wanted], number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 9, errors
    assert "Traceback" not in errors
    assert "gloo/" not in errors
    assert "aebuild train --resume run" in errors
    assert errors.count("AE610") == 2, errors          # the message, and how to have it explained
    if number != signal.SIGKILL:
        return
    again = begin(tmp_path, "--resume", "run", "--devices", "1")
    assert again.stderr is not None
    heard = iter(again.stderr.readline, "")
    said = [next(line for line in heard if "epoch" in line)]
    again.send_signal(signal.SIGTERM)
    again.communicate(timeout=60)
    assert again.returncode == 143, said


def test_two_agents_of_torchrun_meet(tmp_path: Path) -> None:
    """As `srun torchrun` starts them on two machines."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    (tmp_path / "spec.yaml").write_text(SPEC.replace("EPOCHS", "2"))
    command = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1", "--rdzv-backend", "c10d",
               "--rdzv-endpoint", f"localhost:{port}", "--rdzv-id", "7", "--local-addr", "localhost", "-m", "aebuild", "train",
               "spec.yaml", "-o", "run", "--devices", "2"]
    agents = [subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env=environment(SLURM_PROCID=str(node), SLURM_NTASKS="2", SLURM_STEP_NUM_TASKS="2")) for node in range(2)]
    told = [agent.communicate(timeout=150) for agent in agents]
    assert [agent.returncode for agent in agents] == [0, 0], told
    assert sum("2 processes: gloo" in errors for _, errors in told) == 1
    assert len(journal(tmp_path / "run")) == 4



def saved(run: Path) -> bool:
    """True if a step was saved where no checkpoint was due: there was only that of the untrained model."""
    return int(Run.open(run).checkpoints.load("step").checkpoint.state["progress"]["total"]) > 0


@pytest.mark.skipif(sys.platform != "linux", reason="finds the children in /proc")
def test_a_job_whose_every_process_is_signalled_saves(tmp_path: Path) -> None:
    """As `scancel` and Slurm's time limit do: torchrun then passes its own signal on to those who have it already."""
    (tmp_path / "spec.yaml").write_text(SPEC.replace("EPOCHS", "100000"))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "aebuild", "train",
               "spec.yaml", "-o", "run"]
    agent = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=long_echoes(tmp_path))
    STARTED.append(agent)
    under_way(tmp_path / "run")
    for process in (*rank_processes(agent.pid).values(), agent.pid):
        os.kill(process, signal.SIGTERM)
    _, errors = agent.communicate(timeout=60)
    assert "everything is saved" in " ".join(errors.split()), errors
    assert saved(tmp_path / "run")


def test_a_sigterm_that_never_ceases_is_one(tmp_path: Path) -> None:
    """To the very end: while it is saved, after our handlers are left, and when the process ends."""
    process = begin(tmp_path, "-o", "run", "--retries", "1", epochs=100_000, **long_echoes(tmp_path))
    under_way(tmp_path / "run")
    until = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < until:
        process.send_signal(signal.SIGTERM)
        time.sleep(0.02)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143, errors
    assert "everything is saved" in " ".join(errors.split()), errors
    assert saved(tmp_path / "run")


def test_a_world_of_another_size_is_refused() -> None:
    assert world_of(None, {}) == 1
    assert world_of(1, {"WORLD_SIZE": "1"}) == 1
    whole = {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}
    assert world_of(2, whole) == 2
    for wanted, told, message in ((4, whole, "4 processes are wanted, but the launcher started 2"), (2, {}, "but this is one process"),
                                  (None, {"WORLD_SIZE": "2"}, "WORLD_SIZE is 2, but RANK"),
                                  (None, {"SLURM_STEP_NUM_TASKS": "3"}, "srun started 3 processes that do not know of each other"),
                                  (None, {"OMPI_COMM_WORLD_SIZE": "3"}, "mpirun started 3 processes")):
        with pytest.raises(UsageError, match=message):
            world_of(wanted, told)


def test_alone_nothing_is_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert join("cpu") is ALONE
    assert rank_of({}) == 0
    assert rank_of({"RANK": "3"}) == 3


def test_the_timeout_is_a_number_of_seconds() -> None:
    assert timeout_of({}) == 600
    assert timeout_of({"AEBUILD_TIMEOUT": "2.5"}) == 2.5
    for wrong in ("soon", "0", "-1"):
        with pytest.raises(UsageError, match="AEBUILD_TIMEOUT is"):
            timeout_of({"AEBUILD_TIMEOUT": wrong})


def test_more_processes_than_gpus_are_refused(tmp_path: Path) -> None:
    spec = "data: digits\nencoder: [linear: 8]\nlatent: {type: gaussian, dim: 2}\ntrain: {device: cuda}\n"
    (tmp_path / "cuda.yaml").write_text(spec)
    command = [sys.executable, "-m", "aebuild", "train", "cuda.yaml", "--devices", "2"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(CUDA_VISIBLE_DEVICES=""), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 6, done.stderr
    assert "AE611" in done.stderr
    assert "2 processes on a machine with 0 GPUs" in done.stderr


def test_processes_without_a_bound_are_refused(tmp_path: Path) -> None:
    process = begin(tmp_path, "-o", "run", "--devices", "1000000", "--retries", "1")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2, errors
    assert "AE614" in errors
    assert not (tmp_path / "run").exists()
    assert [bounded(count) for count in (1, 3, 16)] == [1, 3, 16]


def test_strangers_are_hung_up_on() -> None:
    """On the loopback, with garbage, nothing, half a greeting, a wrong token: the process with the token is the one that counts."""
    told: list[SimpleQueue[int]] = [SimpleQueue(), SimpleQueue()]
    found: list[Heartbeat] = []

    def share(number: int) -> int:
        for queue in told:
            queue.put(number)
        return number

    first = threading.Thread(target=lambda: found.append(Heartbeat(0, 2, 30.0, share, LOOPBACK)))
    first.start()
    port = told[0].get(timeout=30)
    strangers = [socket.create_connection((LOOPBACK, port), timeout=30) for _ in range(100)]
    for number, stranger in enumerate(strangers[50:]):
        stranger.sendall((b"GET / HTTP/1.1\r\n\r\n", b"H", struct.pack("<cHQ", b"H", 1, 7))[number % 3])
    other = Heartbeat(1, 2, 30.0, lambda _: told[1].get(timeout=30), LOOPBACK)
    first.join(30)
    assert list(found[0]._peers.values()) == [1]
    assert next(iter(found[0]._peers)).getsockname()[0] == LOOPBACK
    for heartbeat in (other, *found):
        heartbeat.leave(0)
    for thread in threading.enumerate():
        if thread.name == "heartbeat":
            thread.join(30)
    for end in (*strangers, *other._peers, *found[0]._peers):
        end.close()


def test_only_other_machines_connect_from_outside() -> None:
    told = {"MASTER_ADDR": "10.0.0.7", "LOCAL_WORLD_SIZE": "2"}
    assert _address(2, told) == LOOPBACK
    assert _address(4, told) == _address(2, {"MASTER_ADDR": "10.0.0.7"}) == "10.0.0.7"


def penalised(loss: str) -> tuple[Autoencoder, Plan]:
    """A model with one more loss."""
    plan = load("spec.yaml", text=f"data: digits\nencoder: [linear: 8]\nlatent: {{type: gaussian, dim: 2}}\nlosses: {{{loss}}}\n").require()
    return build(plan), plan


@pytest.fixture
def alone_in_a_group(tmp_path: Path) -> Iterator[None]:
    """A group of torch's that is this process."""
    distributed.init_process_group("gloo", store=distributed.FileStore(str(tmp_path / "store"), 1), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.parametrize("loss", ["contractive: {draws: 1}", "decoder_gradient: 1",
                                  "critic: {type: patch_gan, network: [conv: 4], gradient_penalty: 1, r1: 1, adaptive: false}"])
def test_slopes_inside_of_a_pass_have_the_same_gradients_where_weights_are_divided(loss: str, alone_in_a_group: None,
                                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aebuild.trainer.distributed.fsdp.BLOCK", 8)
    model, plan = penalised(loss)
    names = [term.name for term in plan.terms if term.name not in ("reconstruction", "kl")]
    divided, x = deepcopy(model), torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    shard(divided, 1, torch.device("cpu"))
    for each in (model, divided):
        terms, _ = each.run_losses(Batch(x, x), names)
        torch.stack([term.sum() for term in terms.values()]).sum().backward()
    wanted = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert sum(gradient is not None for gradient in wanted.values()) > 1
    for name, parameter in divided.named_parameters():
        found = None if parameter.grad is None else whole(parameter.grad)
        assert (found is None) == (wanted[name] is None), name
        assert found is None or torch.allclose(found, wanted[name]), name


class Scaled(nn.Conv2d):
    def __init__(self, *sizes: int) -> None:
        super().__init__(*sizes)
        self.scale = nn.Parameter(torch.tensor(2.0))         # a single number, as no divided weight may be

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * self.scale


@pytest.mark.filterwarnings("ignore:.*torch.jit")
@pytest.mark.parametrize("freeze", [True, False])
def test_a_frozen_script_is_held_by_all_and_one_that_is_trained_is_refused(freeze: bool, tmp_path: Path, alone_in_a_group: None) -> None:
    torch.jit.save(torch.jit.trace(Scaled(1, 2, 3), torch.zeros(2, 1, 8, 8)), tmp_path / "net.pt")
    plan = load(tmp_path / "s.yaml", text=f"data: digits\nencoder: [pretrained: {{path: net.pt, freeze: {str(freeze).lower()}}}, linear: 6]\n"
                "latent: {type: continuous, dim: 3}\ndecoder: [linear: 8]\n").require()
    model, x = build(plan), torch.rand(5, 1, 8, 8)
    if not freeze:
        with pytest.raises(UsageError, match="TorchScript"):
            shard(model, 1, torch.device("cpu"))
        return
    wanted = model.run(Batch(x, x)).params
    shard(model, 1, torch.device("cpu"))
    assert [isinstance(weight, DTensor) for weight in model.encoder.parameters()] == [False, False, False, True, True]
    assert torch.equal(model.run(Batch(x, x)).params, wanted)


def test_what_cannot_be_sharded_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for model in (CodebookLatent({}, (4,), 1, codes=3), LearnedGaussian(())):
        with pytest.raises(UsageError, match="AE613"):
            shard(model, 2, torch.device("cpu"))
    with pytest.raises(UsageError, match=r"penalties\.decoder_weights reads the weights"):
        shard(penalised("decoder_weights: 1")[0], 2, torch.device("cpu"))
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with pytest.raises(UsageError, match="nothing to shard"):
        join("cpu", sharded=True)
