"""Commands as tasks of a Ray cluster, which shares the folder of the campaign; started on this machine where none is named."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aebuild.results.comparing.processes import POLL, Command, surroundings
from aebuild.results.comparing.proposals import require
from aebuild.trainer.distributed.supervisor import Forwarding, end_with_parent

STOP = "stop"          # a file in the campaign's folder that asks the tasks to save and end


class RayTasks:
    """At most `jobs` tasks at once, or as many as the cluster has cores; on Ctrl-C the tasks save and end.

    The cluster is the one that RAY_ADDRESS names; without it Ray is started here. A task takes one core, and a GPU where there are any.
    """

    def __init__(self, folder: Path, jobs: int | None) -> None:
        require("ray", "--on ray")
        import ray

        self._folder, self._forwarding = folder.absolute(), Forwarding()
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        ray.init(num_cpus=None if "RAY_ADDRESS" in os.environ else jobs, include_dashboard=False, log_to_driver=False,
                 logging_level=logging.ERROR)
        there: dict[str, float] = ray.cluster_resources()
        self.jobs = jobs or max(1, int(there.get("CPU", 1)))
        self._task = ray.remote(num_cpus=1, num_gpus=1 if there.get("GPU") else 0, max_retries=0)(carry)
        self._running: dict[Any, Command] = {}

    def __enter__(self) -> RayTasks:
        (self._folder / STOP).unlink(missing_ok=True)
        self._forwarding.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        import ray

        self._forwarding.__exit__()
        if self._running:
            (self._folder / STOP).touch()
            ray.wait(list(self._running), num_returns=len(self._running), timeout=60)
        (self._folder / STOP).unlink(missing_ok=True)
        ray.shutdown()

    def free(self) -> bool:
        """True if one more may be started."""
        return len(self._running) < self.jobs and self.stopped() is None

    def start(self, command: Command) -> None:
        """Begins a command on some machine of the cluster."""
        argv = [os.path.abspath(word) if os.path.exists(word) else word for word in command.argv]
        own = {name: value for name, value in surroundings().items() if name.startswith(("AEBUILD_", "OMP_", "PYTHONPATH"))}
        reference = self._task.remote(argv, str(command.log.absolute()), {**own, **command.env}, os.getcwd(), str(self._folder / STOP))
        self._running[reference] = command

    def ended(self) -> list[tuple[Command, int]]:
        """Commands that ended since it was asked last, with their exit codes; -9 for one whose machine was lost."""
        import ray

        if self.stopped() is not None:
            (self._folder / STOP).touch()
        done, _ = ray.wait(list(self._running), num_returns=len(self._running), timeout=0)
        found = []
        for reference in done:
            try:
                code = int(ray.get(reference))
            except ray.exceptions.RayError:
                code = -signal.SIGKILL
            found.append((self._running.pop(reference), code))
        return found

    def busy(self) -> bool:
        """True while one runs."""
        return bool(self._running)

    def stopped(self) -> int | None:
        """The signal with which the user asked to stop."""
        return self._forwarding.told


def carry(argv: Sequence[str], log: str, env: Mapping[str, str], folder: str, stop: str) -> int:
    """Runs a command to its end, on the machine of the task; SIGTERM to it when the file `stop` appears."""
    with open(log, "ab") as stream:
        process = subprocess.Popen(list(argv), stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, cwd=folder,
                                   env={**os.environ, **env}, start_new_session=True, preexec_fn=end_with_parent)
    told = False
    while process.poll() is None:
        if not told and os.path.exists(stop):
            process.send_signal(signal.SIGTERM)
            told = True
        time.sleep(POLL)
    return process.wait()
