"""How much of the machine a training uses: peak memory, and its share of the measured speed."""

from __future__ import annotations

import resource
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

import torch

from aebuild.trainer.profiling.flops import step_flops
from aebuild.trainer.run_dir.records import mapping_in

if TYPE_CHECKING:
    from aebuild.compile.plan import PhasePlan, Plan
    from aebuild.trainer.profiling.timers import Timers
    from aebuild.trainer.run_dir.run import Run

MEASURE_AFTER = 10.0      # seconds of training, so that measuring takes two percent of the time at most
MEASURE_FOR = 0.2
SIZES = (512, 1024, 2048, 4096, 8192)


class UtilisationMeter:
    """Memory and utilisation of one run on one device.

    Utilisation is the operations a second that the training's matrix products and convolutions take (trainer/profiling/flops.py), over
    those of the fastest plain matrix product on this device, with the same threads and precision. The product is measured once,
    when the training has lasted ten seconds, and written to environment.json.
    """

    def __init__(self, plan: Plan, device: torch.device, run: Run, timers: Timers) -> None:
        self.dtype = torch.float32                              # of the run's matrix products
        self.peak: float | None = None                          # operations a second
        self._plan, self._device, self._run, self._timers = plan, device, run, timers
        self._samples: dict[PhasePlan, int] = {}
        self._costs: dict[PhasePlan, int] = {}

    @property
    def memory(self) -> int:
        """The most bytes in use so far: allocated on a GPU, resident memory of the process elsewhere."""
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

    def utilisation(self, phase: PhasePlan, samples: int, seconds: float,
                    resting: AbstractContextManager[None] | None = None) -> float | None:
        """The share that this process made use of so far; None in the first seconds.

        `samples` were trained with in `seconds`, over all phases; those of no phase before belong to this one. While
        `resting` is entered, all cores are there to be measured.
        """
        self._samples[phase] = samples - sum(count for known, count in self._samples.items() if known is not phase)
        if seconds < MEASURE_AFTER:
            return None
        if self.peak is None:
            with self._timers.of("measuring"), resting or nullcontext():
                self._measure()
        if phase not in self._costs:
            self._costs = {known: step_flops(self._plan, known) for known in self._samples}
        done = sum(count * self._costs[known] for known, count in self._samples.items())
        return done / seconds / self.peak if self.peak else None

    def _measure(self) -> None:
        self.peak = matmul_speed(self._device, self.dtype)
        path = self._run.folder / "environment.json"
        measured = {"matmul_flops_per_second": round(self.peak), "matmul_dtype": str(self.dtype).removeprefix("torch.")}
        self._run.write(path.name, {**mapping_in(path), **measured})


def matmul_speed(device: torch.device, dtype: torch.dtype, seconds: float = MEASURE_FOR) -> float:
    """Operations a second of the fastest square matrix product found in about so many seconds, at the precision torch is set to."""
    generator = torch.Generator(device).manual_seed(0)
    best, began = 0.0, time.perf_counter()
    for size in SIZES:
        a, b = (torch.randn(size, size, generator=generator, device=device).to(dtype) for _ in range(2))
        for _ in range(4):
            _wait(device)
            start = time.perf_counter()
            torch.mm(a, b)
            _wait(device)
            now = time.perf_counter()
            best = max(best, 2 * size ** 3 / (now - start))
            if now - began > seconds:
                return best
    return best


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
