"""From what a launcher says to a group of processes that have found each other."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import torch

from aebuild.lang.diagnostics import Diagnostic, Hint, ResourceError, Rule, Silent, UsageError, WorkerLostError
from aebuild.trainer.distributed.heartbeat import LOOPBACK, LOST, Heartbeat
from aebuild.trainer.distributed.process_group import ALONE, MultiProcessGroup, ProcessGroup

TIMEOUT = 600.0      # seconds without an answer after which a process counts as hung
WORLD = Rule("AE612", "the number of processes is not what was asked for", """
A training on several processes is started by `--devices`, or by torchrun, which tells each process how many there are. If
both are given they must agree, and if a launcher such as srun or mpirun starts several processes without telling them of
each other, each would train a whole model of its own and overwrite the others' results: that is refused.

```console
$ srun --ntasks 4 aebuild train spec.yaml                                        # four trainings, none knows of the others
$ srun --ntasks-per-node 1 torchrun --nproc-per-node 4 -m aebuild train spec.yaml     # one training on four processes
```
""")
TOO_FEW = Rule("AE611", "more processes than GPUs", """
Each process of a training wants a GPU of its own. Two processes on one GPU are slower than one.

```console
$ aebuild train spec.yaml --devices 8                            # on a machine with four GPUs
$ aebuild train spec.yaml --devices 4
$ aebuild train spec.yaml --devices 8 --set train.device=cpu     # processes on the CPU's cores
```
""")
_LAUNCHERS = {"SLURM_STEP_NUM_TASKS": "srun", "OMPI_COMM_WORLD_SIZE": "mpirun"}


def rank_of(environment: Mapping[str, str] = os.environ) -> int:
    """This process's number among those that train together, before they have met."""
    return int(environment["RANK"]) if environment.get("RANK", "").isdigit() else 0


def world_of(wanted: int | None, environment: Mapping[str, str] = os.environ) -> int:
    """How many processes the environment says there are; UsageError if that is not what is wanted."""
    told = environment.get("WORLD_SIZE")
    if told is None:
        for name, launcher in _LAUNCHERS.items():
            if environment.get(name, "1") not in ("", "1"):
                raise UsageError(Diagnostic(WORLD, f"{launcher} started {environment[name]} processes that do not know of each other",
                                            fix=f"{launcher} one process a machine: torchrun --nproc-per-node N -m aebuild train ..."))
    world = int(told) if told is not None and told.isdigit() else 1
    if wanted is not None and world != wanted:
        raise UsageError(Diagnostic(WORLD, f"{wanted} processes are wanted, but " + (
            f"the launcher started {world}" if told is not None else "this is one process"),
            fix=Hint("leave --devices out under torchrun, and give it to `aebuild train` elsewhere")))
    if world > 1 and not all(environment.get(name) for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")):
        raise UsageError(Diagnostic(WORLD, f"WORLD_SIZE is {world}, but RANK, LOCAL_RANK, MASTER_ADDR or MASTER_PORT is missing",
                                    fix=Hint("start the processes with torchrun, or remove WORLD_SIZE from the environment")))
    return world


def timeout_of(environment: Mapping[str, str] = os.environ) -> float:
    """Seconds after which a process that does not answer counts as hung."""
    told = environment.get("AEBUILD_TIMEOUT", "")
    try:
        seconds = float(told) if told else TIMEOUT
        if not 0 < seconds < 1e6:
            raise ValueError
    except ValueError:
        raise UsageError(Diagnostic(WORLD, f"AEBUILD_TIMEOUT is {told!r}", fix="AEBUILD_TIMEOUT=600")) from None
    return seconds


def join(device: str, wanted: int | None = None, *, sharded: bool = False) -> ProcessGroup:
    """Meets the other processes of a launcher's group; ALONE where there is none.

    `device` is that of the spec. UsageError if the group is not of the wanted size, ResourceError if a process has no GPU
    of its own, WorkerLostError if not all of them come.
    """
    world = world_of(wanted)
    if world == 1:
        if sharded:
            raise UsageError(Diagnostic(WORLD, "there is nothing to shard a model over: this is one process", fix="--devices N --shard"))
        return ALONE
    rank, local_rank, timeout = int(os.environ["RANK"]), int(os.environ["LOCAL_RANK"]), timeout_of()
    backend = _backend(device, local_rank)
    distributed: Any = torch.distributed
    try:
        distributed.init_process_group("gloo" if backend == "gloo" else "cpu:gloo,cuda:nccl", timeout=timedelta(seconds=timeout))
        count = torch.ones(())
        distributed.all_reduce(count)
    except RuntimeError as error:
        told = f"the {world} processes did not find each other within {timeout:g} seconds: {str(error).splitlines()[0]}"
        raise WorkerLostError(Diagnostic(LOST, told, fix=Hint("see that all of them were started"))) from error
    if int(count) != world or distributed.get_world_size() != world:
        raise UsageError(Diagnostic(WORLD, f"{world} processes are wanted, but {int(count)} came", fix=Hint("start them with torchrun")))
    return MultiProcessGroup(rank, world, local_rank, backend, Heartbeat(rank, world, timeout, _of_first, _address(world)),
                   sharded=sharded)


def _address(world: int, environment: Mapping[str, str] = os.environ) -> str:
    """Where the first process is reached: on this machine, where the launcher says that all are on it."""
    return LOOPBACK if environment.get("LOCAL_WORLD_SIZE") == str(world) else environment["MASTER_ADDR"]


def _of_first(number: int) -> int:
    told = torch.tensor(number)
    torch.distributed.broadcast(told, 0)
    return int(told)


def _backend(device: str, local_rank: int) -> str:
    """gloo on the CPU; nccl where every process of this machine gets its own GPU, which becomes the current one."""
    count = torch.cuda.device_count() if device != "cpu" else 0
    here = int(os.environ.get("LOCAL_WORLD_SIZE", local_rank + 1))
    if count == 0 and device != "cuda":
        return "gloo"
    if here > count:
        if local_rank:
            raise Silent(ResourceError.exit_code)
        raise ResourceError(Diagnostic(TOO_FEW, f"{here} processes on a machine with {count} GPU{'s' if count != 1 else ''}",
                                       path="train.device", fix=f"--devices {count}" if count else "--set train.device=cpu"))
    torch.cuda.set_device(local_rank)
    return "nccl"
